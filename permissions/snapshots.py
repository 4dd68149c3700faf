"""What a process remembers of roles and users: plain values, no tables, safe to share between threads.

``registrar`` fills these and knows when they are old. They stand apart from it because the verbs on users read them
where each nanosecond counts.
"""

from collections.abc import Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final, final

from django.apps import apps
from django.utils.module_loading import import_string

from permissions import conf
from permissions.exceptions import WildcardPermissionNotImplementsContract
from permissions.scope import Scope
from permissions.wildcard import WildcardContract


@dataclass(slots=True)
class State:
    """The one mutable thing that every instance looks at."""

    #: Rises with every write of rights in this process; a snapshot of an earlier epoch is looked at again.
    epoch: int = 0


state: Final = State()


@final
@dataclass(frozen=True, slots=True)
class RoleFacts:
    """What a role is and gives by itself."""

    pk: int
    #: None for a mere group, which gives its permissions all the same but is nobody's role.
    name: str | None
    guard: str
    team_id: str
    #: Names of its own permissions that belong to its guard.
    names: frozenset[str]
    #: Keys of the roles whose permissions it has too.
    ancestors: tuple[int, ...]
    stamp: int | None


@dataclass(frozen=True, slots=True)
class Assigned:
    """That a user has a role."""

    role_id: int
    team_id: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Granted:
    """That a user was given or forbidden a permission directly."""

    permission_id: int
    guard: str
    name: str
    team_id: str
    is_denied: bool


@dataclass(frozen=True, slots=True)
class UserFacts:
    """All rows about one user, in every team and guard."""

    stamp: int | None
    assigned: tuple[Assigned, ...]
    granted: tuple[Granted, ...]


#: How many names that patterns have matched are kept with the patterns, and how long such a name may be.
MATCHED_SIZE: Final = 1_000
MATCHED_LENGTH: Final = 255


class Names:
    """Names, and what they match. Shared by all users who hold the same roles."""

    __slots__ = ("_labels", "_matched", "_matcher", "exact")

    def __init__(self, exact: frozenset[str]) -> None:
        """Take the names; patterns among them are read at the first question that needs it."""
        self.exact = exact
        #: What was asked for and matched, where patterns are on: a pattern itself need not be among it.
        self._matched: set[str] | None = set() if exact and conf.get().wildcards else None
        self._matcher: WildcardContract | None = None
        self._labels: frozenset[str] | None = None

    @property
    def quick(self) -> AbstractSet[str]:
        """What is known to be among these: all there is or, where patterns are on, what has matched so far."""
        return self.exact if self._matched is None else self._matched

    @property
    def labels(self) -> frozenset[str]:
        """The installed apps whose permissions are among the names; "" stands for names of no app."""
        if self._labels is None:
            heads = (name.partition(".")[0] if "." in name else "" for name in self.exact)
            self._labels = frozenset(head if head in apps.app_configs else "" for head in heads)
        return self._labels

    def has_label(self, label: str, *, without: "Names") -> bool:
        """Say whether there is a name of that app ("" stands for none), other than those that are left out."""
        if label not in self.labels or not without.exact:
            return label in self.labels
        return any(name not in without and label in Names(frozenset({name})).labels for name in self.exact)

    def __contains__(self, name: str) -> bool:
        """Say whether the name is one of these or, where patterns are on, matches one."""
        matched = self._matched
        if matched is None:
            return name in self.exact
        if name in matched:
            return True
        if self._matcher is None:
            self._matcher = make_matcher(self.exact)
        is_match = self._matcher.matches(name)
        # ``can`` takes what is kept here for the whole answer. With a guard in front a name means another one.
        if is_match and len(name) <= MATCHED_LENGTH and name.partition(".")[0] not in conf.get().guards:
            if len(matched) >= MATCHED_SIZE:
                matched.clear()
            matched.add(name)
        return is_match

    def find(self, name: str) -> str | None:
        """Return the name, or one of the patterns, that answers for ``name``; slow, for people."""
        return (
            name
            if name in self.exact
            else next((pattern for pattern in sorted(self.exact) if name in Names(frozenset({pattern}))), None)
        )


EMPTY: Final = Names(frozenset())
#: Held while a snapshot begins to remember single objects, which few do.
_lock: Final = Lock()


@final
@dataclass(frozen=True, slots=True)
class Held:
    """What roles give in a guard. Shared by all users who have the same ones."""

    names: Names
    #: The roles themselves, of every guard.
    roles: tuple[RoleFacts, ...]
    #: Keys of all roles whose permissions are held, ancestors included; they are keys of groups too.
    lineage: frozenset[int]
    #: With this Django begins the names of permissions that no model declares.
    prefix: str


@final
class Snapshot:
    """What a user holds in one scope, kept on the instance."""

    __slots__ = (
        "_objects",
        "asked_in",
        "denied",
        "epoch",
        "is_plain",
        "lineage",
        "own",
        "prefix",
        "quick",
        "roles",
        "scope",
        "until",
        "via_roles",
    )

    def __init__(
        self,
        *,
        epoch: int,
        scope: Scope,
        held: Held,
        own: Names,
        denied: Names,
        until: float | None,
    ) -> None:
        """Take what holds in the scope until the moment ``until`` (seconds since 1970; None for ever)."""
        self.epoch = epoch
        self.scope = scope
        #: Held through roles, and held directly.
        self.via_roles = held.names
        self.own = own
        self.denied = denied
        #: The scope as the request has set it, where ``can`` may answer from this snapshot at once.
        self.asked_in: Scope | None = None
        # What ``held`` says of roles, in places of its own: it is asked for often.
        self.roles = held.roles
        self.lineage = held.lineage
        self.prefix = held.prefix
        self.until = until
        #: Whether only what is held decides: nothing is denied or ends, and the gate has no hooks.
        self.is_plain = False
        #: Names that need no further thought when asked for; empty where something could overrule them.
        self.quick: AbstractSet[str] = frozenset()
        self._objects: dict[Hashable, frozenset[str]] | None = None

    def find_held_with(self, key: Hashable) -> frozenset[str] | None:
        """Return what the user holds of a single object, by its model and key; None says nothing."""
        return None if self._objects is None else self._objects.get(key)

    def remember_held_with(self, key: Hashable, names: frozenset[str]) -> None:
        """Take note of what the user holds of a single object."""
        if self._objects is None:
            with _lock:
                if self._objects is None:
                    self._objects = {}
        self._objects[key] = names

    @property
    def is_super_admin(self) -> bool:
        """Whether one of the roles may everything."""
        names, guard = conf.get().super_admin_roles, conf.get().default_guard
        return bool(names) and any(role.name in names and role.guard == guard for role in self.roles)

    def holds(self, name: str) -> bool:
        """Say whether the name is held and not denied."""
        return (name in self.via_roles or name in self.own) and name not in self.denied


class Memory[Key: Hashable, Value]:
    """A dict that forgets its oldest entries; reading takes no lock."""

    def __init__(self) -> None:
        """Start empty."""
        self._values: dict[Key, Value] = {}
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """Return what is remembered."""
        return self._values.get(key)

    def put(self, key: Key, value: Value, *, limit: int) -> None:
        """Remember, and forget the oldest tenth where there is no room."""
        with self._lock:
            self._values[key] = value
            if len(self._values) > limit:
                for old in list(self._values)[: max(1, limit // 10)]:
                    del self._values[old]

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop these."""
        with self._lock:
            for key in keys:
                self._values.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values = {}

    def __bool__(self) -> bool:
        """Say whether anything is remembered."""
        return bool(self._values)

    def __iter__(self) -> Iterator[Key]:
        """Go through what is remembered now."""
        with self._lock:
            return iter(list(self._values))


def make_matcher(names: frozenset[str]) -> WildcardContract:
    """Return the matcher of the settings.

    Raises:
        WildcardPermissionNotImplementsContract: The class isn't one.
    """
    matcher_class = import_string(conf.get().wildcard_class)
    if not callable(getattr(matcher_class, "matches", None)):
        raise WildcardPermissionNotImplementsContract
    matcher: WildcardContract = matcher_class(names)
    return matcher

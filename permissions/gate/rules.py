"""The decision itself: one rule after the other, until one has answered."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from inspect import isclass, signature
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db.models import Model

from permissions import conf, grants, registrar, scope, selectors
from permissions.exceptions import Unauthorized
from permissions.gate.decisions import Decision, Step
from permissions.gate.hooks import Hook, Hooks, get_policy
from permissions.snapshots import Snapshot, state

if TYPE_CHECKING:
    from permissions.models.roles import Holder

#: Whoever asks: a user, or a stranger.
type Subject = object
#: A rule, its answer (None leaves the question open), and how to tell why.
type _Answer = tuple[str, bool | None, Callable[[], str]]


def can(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
    """Say whether a user may, at all or with an object.

    Raises:
        GuardDoesNotExist: There is no such guard.
        TypeError: The ability isn't a name.
    """
    return decide(user, ability, obj, guard=guard) is True


def explain(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> Decision:
    """Return what ``can`` says, with each step that led there. Raises as ``can`` does."""
    steps: list[Step] = []
    answer = _decide(user, ability, obj, guard, steps)
    own = selectors.find_guard(guard=guard, guards=selectors.get_guard_names(user))
    return Decision(
        user=str(user),
        ability=ability,
        obj="" if obj is None else _describe(obj),
        guard=own,
        team=_find_team(obj),
        is_allowed=answer is True,
        steps=tuple(steps),
    )


def authorize(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> None:
    """Let nobody go on who may not.

    Raises:
        Unauthorized: The user may not; a view that lets it pass answers 403.
    """
    if not can(user, ability, obj, guard=guard):
        raise refuse(permissions=[ability])


async def acan(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
    """See ``can``."""
    return await adecide(user, ability, obj, guard=guard) is True


async def adecide(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> bool | None:
    """See ``decide``. What needs no query is answered at once, without a thread."""
    if obj is None and guard is None and (snapshot := _find_plain(user, ability)):
        return snapshot.holds(ability) or None
    if obj is None and not Hooks.before and not Hooks.after:
        own = selectors.find_guard(guard=guard, guards=selectors.get_guard_names(user))
        if registrar.is_fresh(user, scope.Scope(own, scope.get_team())):
            return decide(user, ability, obj, guard=guard)
    return await sync_to_async(decide)(user, ability, obj, guard=guard)


async def aexplain(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> Decision:
    """See ``explain``."""
    return await sync_to_async(explain)(user, ability, obj, guard=guard)


async def aauthorize(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> None:
    """See ``authorize``."""
    await sync_to_async(authorize)(user, ability, obj, guard=guard)


def can_in_app(user: "Holder", app_label: str) -> bool:
    """Say whether a user may anything in an app; the label of a guard stands for the permissions of no app."""
    if not user.is_active:
        return False
    if user.is_superuser and conf.get().superuser_bypass:
        return True
    snapshot = selectors.get_snapshot(user)
    label = "" if app_label == snapshot.scope.guard else app_label
    return any(names.has_label(label, without=snapshot.denied) for names in (snapshot.via_roles, snapshot.own))


def prefetch(user: "Holder", objects: Iterable[Model]) -> None:
    """Read what a user holds of many objects, one query for each model, so that asking about them costs nothing."""
    by_model: dict[type[Model], list[tuple[Snapshot, Model]]] = {}
    guard = selectors.get_guard_names(user)[0]
    for obj in objects:
        snapshot = registrar.get_snapshot(user, scope.Scope(guard, _find_team(obj)))
        by_model.setdefault(type(obj), []).append((snapshot, obj))
    for pairs in by_model.values():
        grants.load(user, pairs)


async def aprefetch(user: "Holder", objects: Iterable[Model]) -> None:
    """See ``prefetch``."""
    await sync_to_async(prefetch)(user, objects)


def refuse(
    *,
    roles: Iterable[str] | None = None,
    permissions: Iterable[str] | None = None,
    either: Iterable[str] | None = None,
) -> Unauthorized:
    """Return the refusal for who lacks roles, or permissions, or what may be a role or a permission: name one of them.

    It keeps the names, and tells them where the settings say so; those of ``either`` it keeps as permissions.
    """
    shows_roles = conf.get().display_role_in_exception
    shows_permissions = conf.get().display_permission_in_exception
    if either is not None:
        message, word = "User does not have any of the necessary access rights.", "roles or permissions"
        names, is_shown = tuple(either), shows_roles and shows_permissions
    elif permissions is not None:
        message, word = "User does not have the right permissions.", "permissions"
        names, is_shown = tuple(permissions), shows_permissions
    else:
        message, word = "User does not have the right roles.", "roles"
        names, is_shown = tuple(roles or ()), shows_roles
    if names and is_shown:
        message = f"{message} Necessary {word} are {', '.join(names)}."
    if either is None and permissions is None:
        return Unauthorized(message, required_roles=names)
    return Unauthorized(message, required_permissions=names)


def decide(user: Subject, ability: str, obj: object = None, *, guard: str | None = None) -> bool | None:
    """Return the answer as ``can`` finds it; None where nothing allowed and nothing refused. For ``backends``."""
    if obj is None and guard is None and (snapshot := _find_plain(user, ability)):
        return snapshot.holds(ability) or None
    return _decide(user, ability, obj, guard, None)


def _find_plain(user: Any, ability: object) -> Snapshot | None:  # Any: whoever asks
    """Return the snapshot that alone decides about a name: all rules but "held" have nothing to say."""
    snapshot: Snapshot | None = getattr(user, "_permission_snapshot", None)
    if (
        snapshot is not None
        and snapshot.is_plain
        and snapshot.epoch == state.epoch
        and snapshot.asked_in is scope.current.get()
        and isinstance(ability, str)
        and not ability.startswith(snapshot.prefix)
        and user.is_active
        and not user.is_superuser
    ):
        return snapshot
    return None


def _decide(
    user: Any,  # Any: whoever asks
    ability: object,
    obj: object,
    guard: str | None,
    steps: list[Step] | None,
) -> bool | None:
    if not isinstance(ability, str):
        message = f"An ability is asked for by its name, not by {type(ability).__name__}."
        raise TypeError(message)
    for rule, answer, reason in _ask(user, ability, obj, guard):
        if steps is not None:
            steps.append(Step(rule, answer, reason()))
        if answer is not None:
            return answer
    return None


def _ask(user: Any, ability: str, obj: object, guard: str | None) -> Iterator[_Answer]:  # Any: whoever asks
    """Ask one rule after the other, until one has answered True or False."""
    if not getattr(user, "is_authenticated", False) or not user.is_active:
        yield "user", False, lambda: "nobody is signed in, or the user is inactive"
        return
    for hook in Hooks.before:
        yield "before", hook(user, ability, obj), partial(_tell_hook, hook)
    guards = selectors.get_guard_names(user)
    own = selectors.find_guard(guard=guard, guards=guards)
    if user.is_superuser and conf.get().superuser_bypass:
        yield "superuser", True, lambda: "superusers may everything"
    elif own in guards and user.pk is not None:
        snapshot = registrar.get_snapshot(user, scope.Scope(own, _find_team(obj)))
        if obj is None and guard is None:
            registrar.keep_quick(user, snapshot, scope.current.get())
        yield from _ask_rows(user, selectors.strip_guard(ability, guard=own), obj, snapshot)
    for hook in Hooks.after:
        yield "after", hook(user, ability, obj), partial(_tell_hook, hook)


def _ask_rows(user: "Holder", name: str, obj: object, snapshot: Snapshot) -> Iterator[_Answer]:
    if name in snapshot.denied:
        yield "forbidden", False, lambda: f"`{snapshot.denied.find(name)}` is forbidden"
    if snapshot.is_super_admin:
        yield "super admin role", True, lambda: "a role in SUPER_ADMIN_ROLES may everything"
    if name in snapshot.own or name in snapshot.via_roles:
        yield "held", True, lambda: _tell_source(name, snapshot)
    yield "held", None, lambda: "neither given directly nor through a role"
    if obj is not None:
        yield "policy", _ask_policy(user, name, obj), lambda: f"what the policy of {_describe_model(obj)} says"
    if isinstance(obj, Model):
        is_given = grants.holds(user, snapshot, name, obj) or None
        yield "object", is_given, lambda: f"{'' if is_given else 'not '}given for {_describe(obj)} alone"


def _ask_policy(user: "Holder", name: str, obj: object) -> bool | None:
    model = obj if isclass(obj) else type(obj)
    if not issubclass(model, Model):
        return None
    found = get_policy(model)
    if found is None:
        return None
    if (hook := getattr(found, "before", None)) and (answer := hook(user, name)) is not None:
        return bool(answer)
    action = name.rpartition(".")[2].replace("-", "_").replace(" ", "_")
    short = action.removesuffix(f"_{model._meta.model_name}")  # noqa: SLF001 - Django's documented name of it
    for candidate in dict.fromkeys([action, short]):
        method = (
            None if candidate.startswith("_") or candidate in {"before", "scope"} else getattr(found, candidate, None)
        )
        arguments = (user,) if isclass(obj) else (user, obj)
        if callable(method) and _takes(method, len(arguments)):
            answer = method(*arguments)
            return None if answer is None else bool(answer)
    return None


def _takes(method: Callable[..., object], count: int) -> bool:
    """Say whether a method can be called with so many arguments; one that can't answers another question."""
    try:
        signature(method).bind(*range(count))
    except TypeError:
        return False
    return True


def _tell_source(name: str, snapshot: Snapshot) -> str:
    if name in snapshot.own:
        return f"`{snapshot.own.find(name)}` was given directly"
    loaded = registrar.load_roles([role.pk for role in snapshot.roles if role.guard == snapshot.scope.guard])
    for role in snapshot.roles:
        if role.pk not in loaded or role.guard != snapshot.scope.guard:
            continue
        for pk in (role.pk, *role.ancestors):
            facts = loaded.get(pk)
            pattern = registrar.get_own_names(pk).find(name) if facts else None
            if facts and pattern:
                via = "" if pk == role.pk else f", which inherits from `{facts.name}`"
                return f"`{pattern}` comes with the role `{role.name}`{via}"
    return "it comes with a role"


def _find_team(obj: object) -> str | None:
    """Return the key of the team in which an object is decided: its own, or the current one."""
    return scope.get_team() if obj is None else grants.find_team(obj)


def _tell_hook(hook: Hook) -> str:
    return f"what the hook {getattr(hook, '__qualname__', hook)} says"


def _describe(obj: object) -> str:
    if isinstance(obj, Model):
        return f"{obj._meta.label_lower} {obj.pk}"  # noqa: SLF001 - Django's documented name of it
    return _describe_model(obj) if isclass(obj) else str(obj)


def _describe_model(obj: object) -> str:
    model = obj if isclass(obj) else type(obj)
    return model._meta.label_lower if issubclass(model, Model) else model.__name__  # noqa: SLF001 - as above

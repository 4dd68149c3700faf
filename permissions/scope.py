"""Guard and team that hold for the code that runs now: a request, a job, a block.

They stand in a ``ContextVar``, so that each thread and each async task has its own, and none leaks into another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Final, NamedTuple

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model

from permissions import conf
from permissions.exceptions import GuardDoesNotExist, TeamDoesNotExist, TeamsNotEnabled


class Scope(NamedTuple):
    """Where rights are asked for and given."""

    #: None means the holder's own default.
    guard: str | None
    #: Key of the team as text; None means that no team is meant.
    team: str | None


#: Neither a guard nor a team.
NOWHERE: Final = Scope(None, None)
#: What holds now. Read it through the functions below; ``mixins`` reads it in the one place where time matters.
current: ContextVar[Scope] = ContextVar("permissions_scope", default=NOWHERE)


class _CurrentTeam:
    """The type of ``CURRENT_TEAM``."""

    def __repr__(self) -> str:
        return "CURRENT_TEAM"


#: Default of ``team=``: the team that holds now. ``team=None`` means all teams.
CURRENT_TEAM: Final = _CurrentTeam()
type TeamArgument = Model | int | str | object | None


def get_guard() -> str | None:
    """Return the guard that holds now; None means the holder's own default."""
    return current.get().guard


def get_team() -> str | None:
    """Return the key of the team that holds now, as text; None outside of teams."""
    return current.get().team


def set_guard(guard: str | None) -> Token[Scope]:
    """Let a guard hold from here on; ``current.reset(token)`` takes it back.

    Raises:
        GuardDoesNotExist: The guard isn't among ``PERMISSIONS["GUARDS"]``.
    """
    return current.set(_make(check_guard(guard) if guard is not None else None, get_team()))


def set_team(team: TeamArgument) -> Token[Scope]:
    """Let a team (a row, or its key) hold from here on; ``current.reset(token)`` takes it back.

    Raises:
        TeamsNotEnabled: There are no teams.
        TeamDoesNotExist: The key can't be one of a team, or the row isn't stored. Rows are not looked up.
    """
    return current.set(_make(get_guard(), None if team is None else get_team_key(team)))


@contextmanager
def kept() -> Iterator[None]:
    """Let what is set inside the block end with it."""
    token = current.set(current.get())
    try:
        yield
    finally:
        current.reset(token)


@contextmanager
def use_guard(guard: str | None) -> Iterator[None]:
    """Let a guard hold inside the block."""
    token = set_guard(guard)
    try:
        yield
    finally:
        current.reset(token)


@contextmanager
def use_team(team: TeamArgument) -> Iterator[None]:
    """Let a team hold inside the block."""
    token = set_team(team)
    try:
        yield
    finally:
        current.reset(token)


def check_guard(guard: str) -> str:
    """Return the guard.

    Raises:
        GuardDoesNotExist: It isn't among ``PERMISSIONS["GUARDS"]``.
    """
    if guard not in conf.get().guards:
        raise GuardDoesNotExist.named(guard)
    return guard


def get_team_id(team: TeamArgument) -> str:
    """Return what the column ``team_id`` holds for the argument ``team=`` of a verb: "" means all teams."""
    if team is CURRENT_TEAM:
        return get_team() or ""
    return "" if team is None else get_team_key(team)


def get_team_model() -> type[Model]:
    """Return the model whose rows are teams.

    Raises:
        TeamsNotEnabled: ``PERMISSIONS["TEAM_MODEL"]`` names none.
    """
    name = conf.get().team_model
    if name is None:
        raise TeamsNotEnabled
    return apps.get_model(name)


def get_team_key(team: object) -> str:
    """Return the key of a team as the text under which rows name it.

    Raises:
        TeamsNotEnabled: There are no teams.
        TeamDoesNotExist: The key can't be one of a team, or the row isn't stored.
    """
    model = get_team_model()
    key = team.pk if isinstance(team, model) else team
    field = model._meta.pk  # noqa: SLF001 - Django's documented way to a model's fields
    if key is None or isinstance(key, (bool, Model)) or key == "":
        raise TeamDoesNotExist
    try:
        return str(field.to_python(key))
    except (ValidationError, TypeError) as error:
        raise TeamDoesNotExist from error


def _make(guard: str | None, team: str | None) -> Scope:
    return NOWHERE if guard is None and team is None else Scope(guard, team)

"""Users, by what callers name them with."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from permissions import registrar
from permissions.exceptions import UserDoesNotExist
from permissions.selectors.names import flatten

if TYPE_CHECKING:
    from permissions.models.roles import Holder


def find_users(*values: object) -> list["Holder"]:
    """Return the users that rows, ids, or lists of them mean, each once.

    Raises:
        UserDoesNotExist: One of them isn't stored.
        TypeError: A value can't mean a user.
    """
    model = get_user_model()
    flat = flatten(values)
    rows: dict[object, Holder] = {value.pk: value for value in flat if isinstance(value, model)}
    ids: set[Any] = set()  # Any: keys of users
    for value in flat:
        if isinstance(value, model):
            continue
        if not isinstance(value, (str, int, UUID)) or isinstance(value, bool):
            message = f"Ids and rows of users are understood, not {type(value).__name__}."
            raise TypeError(message)
        try:
            ids.add(model._meta.pk.to_python(value))  # noqa: SLF001 - Django's documented way to a model's fields
        except ValidationError as error:
            raise UserDoesNotExist from error
    found = {user.pk: user for user in model._default_manager.filter(pk__in=ids)}  # noqa: SLF001 - as above
    if len(found) < len(ids):
        raise UserDoesNotExist
    return list((rows | found).values())


def get_user_by_text(*, text: str) -> "Holder":
    """Return the user of that id or, where the id is nobody's, of that login (here the e-mail address).

    Raises:
        UserDoesNotExist: There is none.
    """
    model = get_user_model()
    try:
        return next(iter(find_users(text)))
    except (UserDoesNotExist, StopIteration):
        users = model._default_manager  # noqa: SLF001 - Django's documented name of it
        user = users.filter(**{model.USERNAME_FIELD: text}).first()
        if user is None:
            raise UserDoesNotExist(f"There is no user with the e-mail address or id `{text}`.") from None
        return user


def with_stamps[Users: QuerySet[Any]](users: Users, *, user_id: object) -> Users:  # Any: of the user model
    """Let the query that loads one user prove what this process remembers, so that its rights cost no query."""
    return registrar.with_stamps(users, user_id=user_id)


def list_stamp_keys(*, user_id: object) -> tuple[str, str]:
    """Return under which keys the shared cache has what ``with_stamps`` brings: of all roles, and of the user."""
    return registrar.list_stamp_keys(user_id)


def get_epoch() -> int:
    """Return the epoch of this process; see ``give_stamps``."""
    return registrar.get_epoch()


def give_stamps(user: object, *, epoch: int, roles: int | None, own: int | None) -> None:
    """Do what ``with_stamps`` does, for a user and stamps that the shared cache had.

    Args:
        user: The instance.
        epoch: What ``get_epoch`` said before the cache was asked.
        roles: The stamp of all roles.
        own: The stamp of the user.
    """
    registrar.give_stamps(user, epoch=epoch, roles=roles, own=own)


def get_user(*, user_id: str) -> "Holder":
    """Return the user of that id, however the client spelt the UUID.

    Raises:
        UserDoesNotExist: There is none, or the id is no UUID.
    """
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    try:
        user = users.filter(pk=UUID(user_id)).first()
    except ValueError as error:
        raise UserDoesNotExist from error
    if user is None:
        raise UserDoesNotExist
    return user

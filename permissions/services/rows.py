"""How rows are written: without a look before, held while they change, and told to Django's listeners."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.signals import m2m_changed

from permissions.exceptions import (
    RoleDoesNotExist,
    UserDoesNotExist,
)
from permissions.models.roles import Role

if TYPE_CHECKING:
    from permissions.models.roles import Holder


type Action = Literal["pre_add", "post_add", "pre_remove", "post_remove", "pre_clear", "post_clear"]

#: How many rows one statement may write.
CHUNK = 10_000
#: Whether Django's signal about a row or a relation comes from these services, which do all that receivers would.
_is_own: ContextVar[bool] = ContextVar("permissions_is_own", default=False)


def is_own_change() -> bool:
    """Say whether the signal that is being handled comes from these services."""
    return _is_own.get()


@contextmanager
def own_change() -> Iterator[None]:
    """Let receivers know, inside the block, that the caller does what they would."""
    token = _is_own.set(True)
    try:
        yield
    finally:
        _is_own.reset(token)


def insert[Row: Model](rows: Iterable[Row]) -> None:
    """Insert rows, of one model, that aren't there; two callers may insert the same ones."""
    listed = list(rows)
    if listed:
        type(listed[0])._default_manager.bulk_create(listed, ignore_conflicts=True, batch_size=CHUNK)  # noqa: SLF001 - Django's documented name of it


def delete(rows: QuerySet[Any]) -> None:  # Any: rows of any model
    """Delete rows; what receivers would do for each of them the caller does for all."""
    with own_change():
        rows.delete()


def tell_django(
    through: type[Model],
    instance: Model,
    action: Action,
    model: type[Model],
    keys: set[Any],  # Any: keys of either model
) -> None:
    """Send the signal that Django sends when a relation is changed through its manager."""
    with own_change():
        m2m_changed.send(
            sender=through, instance=instance, action=action, reverse=False, model=model, pk_set=keys, using="default"
        )


def check_references() -> None:
    """Let PostgreSQL check now, not at the commit, that what new rows refer to is still there, and keep it there.

    On SQLite nobody else writes meanwhile, and the check would read whole tables.
    """
    if connection.vendor == "postgresql":
        connection.check_constraints()


def lock_user(user: "Holder") -> None:
    """Hold the user's row until the end of the transaction (a no-op on SQLite, whose transactions don't overlap)."""
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    if not list(users.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk")):
        raise UserDoesNotExist


def lock_role(role: Role) -> Role:
    """Hold the role's group until the end of the transaction, and return the role as it is stored."""
    if not list(Group.objects.select_for_update(no_key=True).filter(pk=role.pk).values_list("pk")):
        raise RoleDoesNotExist.named(role.name, guard=role.guard)
    return Role.objects.select_related("group").get(pk=role.pk)

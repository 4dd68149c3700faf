"""How rows are written: without a look before, held while they change, and told to Django's listeners."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import IntegrityError, connection, transaction
from django.db.models import Model, QuerySet
from django.db.models.signals import m2m_changed

from permissions import registrar
from permissions.exceptions import (
    PermissionDoesNotExist,
    RoleDoesNotExist,
    UserDoesNotExist,
)
from permissions.models.roles import Permission, Role

if TYPE_CHECKING:
    from permissions.models.roles import Holder


type Action = Literal["pre_add", "post_add", "pre_remove", "post_remove", "pre_clear", "post_clear"]

#: Where the receivers are that take no notice of changes by these services.
_RECEIVERS: Final = "permissions.receivers"
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


def insert_selected(
    table: type[Model],
    columns: tuple[str, ...],
    selected: QuerySet[Any, Any],  # Any: of any model
) -> list[Any]:  # Any: keys of any type
    """Insert what a query selects, as far as it isn't there, and return of the new rows what is in the last column.

    It is one statement. Where two callers insert the same rows, each is told of those that are its own.
    """
    sql, parameters = selected.order_by().query.sql_with_params()
    quote = connection.ops.quote_name
    name = quote(table._meta.db_table)  # noqa: SLF001 - Django's documented name of it
    names = ", ".join(map(quote, columns))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {name} ({names}) {sql} ON CONFLICT DO NOTHING RETURNING {quote(columns[-1])}", parameters
        )
        return [key for (key,) in cursor.fetchall()]


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


def is_heard(through: type[Model]) -> bool:
    """Say whether somebody besides the house's own receivers waits for the signals about a relation."""
    heard_by = chain(*m2m_changed._live_receivers(through))  # noqa: SLF001 - ``has_listeners`` counts our own
    return any(getattr(one, "__module__", "") != _RECEIVERS for one in heard_by)


def refuse_missing(roles: Collection[Role]) -> None:
    """Make sure that roles are still there.

    Raises:
        RoleDoesNotExist: One of them isn't.
    """
    there = set(Role.objects.filter(pk__in=[role.pk for role in roles]).values_list("pk", flat=True))
    if gone := [role for role in roles if role.pk not in there]:
        raise RoleDoesNotExist.named(*(role.name for role in gone), guard=gone[0].guard)


@contextmanager
def whole(*, roles: Collection[Role] = (), permissions: Collection[Permission] = ()) -> Iterator[None]:
    """Write all or nothing.

    Raises:
        RoleDoesNotExist: One of the roles went away meanwhile.
        PermissionDoesNotExist: One of the permissions did.
        UserDoesNotExist: A user did.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        refuse_missing(roles)
        ids = [one.pk for one in permissions]
        there = set(DjangoPermission.objects.filter(pk__in=ids).values_list("pk", flat=True))
        if lost := [one for one in permissions if one.pk not in there]:
            raise PermissionDoesNotExist.named(*(one.identifier for one in lost), guard=lost[0].guard) from error
        raise UserDoesNotExist from error


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
    """Hold the role's group until the end of the transaction, and return the role as it is stored.

    Whoever changes roles takes the stamp of all of them first, so that nobody holds a row which the holder of the
    stamp waits for.
    """
    registrar.hold_roles()
    if not list(Group.objects.select_for_update(no_key=True).filter(pk=role.pk).values_list("pk")):
        raise RoleDoesNotExist.named(role.name, guard=role.guard)
    return Role.objects.select_related("group").get(pk=role.pk)


def lock_role_to_delete(role: Role) -> None:
    """Hold a role that is about to go: who gives it meanwhile has done so before, or finds that it is gone.

    Raises:
        RoleDoesNotExist: It is gone already.
    """
    registrar.touch(structure=True)  # first, as in lock_role
    for table in (Role, Group):  # in the order in which who assigns it needs them
        if not list(table._default_manager.select_for_update().filter(pk=role.pk).values_list("pk")):  # noqa: SLF001 - Django's documented name of it
            raise RoleDoesNotExist.named(role.name, guard=role.guard)


def lock_permission_to_delete(permission: Permission) -> None:
    """Do the same with a permission.

    Raises:
        PermissionDoesNotExist: It is gone already.
    """
    registrar.touch(structure=True)  # first, as in lock_role
    if not list(DjangoPermission.objects.select_for_update().filter(pk=permission.pk).values_list("pk")):
        raise PermissionDoesNotExist.named(permission.identifier, guard=permission.guard)

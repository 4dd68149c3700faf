"""Large amounts: defining many permissions, and the memory that many users and roles take."""

import random
import time
from collections.abc import Iterator
from itertools import batched

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType

from accounts.models import User
from benchmarks.harness import Figure
from benchmarks.permissions.peers import DjangoUser, make_enforcer
from benchmarks.permissions.world import (
    GUARD,
    MANY,
    NAMES,
    list_queries,
    make_role,
    make_users,
    measure_memory,
    name_for_django,
)
from permissions import registrar
from permissions.models import Role
from permissions.services import sync_permission_definitions

_USERS = 1_000
_ROLES = 1_000
_PERMISSIONS_PER_ROLE = 200


def measure_definitions() -> Iterator[Figure]:
    """Define many permissions, and once more."""
    started = time.perf_counter()
    sync_permission_definitions(names=NAMES, guard=GUARD)
    took = time.perf_counter() - started
    yield Figure(
        name=f"P9 define {MANY:,} permissions",
        value=took,
        unit="s",
        peers={"Django's bulk_create()": _define_with_django()},
        goal=5,
        is_less_better=True,
    )
    sent = list_queries(lambda: sync_permission_definitions(names=NAMES, guard=GUARD))
    writes = [one for one in sent if one.upper().startswith(("INSERT", "UPDATE", "DELETE", "REPLACE"))]
    yield Figure(name="P9 writes of defining them again", value=len(writes), unit="", goal=0, is_less_better=True)


def _define_with_django() -> float:
    content_type = ContentType.objects.create(app_label="peer", model="permission")
    started = time.perf_counter()
    DjangoPermission.objects.bulk_create(
        [DjangoPermission(content_type=content_type, codename=name, name=name) for name in NAMES], batch_size=5_000
    )
    took = time.perf_counter() - started
    content_type.delete()
    return took


def measure_memory_use() -> Iterator[Figure]:
    """Ask many users of one role, then load many roles."""
    role = make_role("memory", NAMES[:_PERMISSIONS_PER_ROLE])
    ids = [user.pk for user in make_users("memory", _USERS, role)]
    registrar.clear()
    assert User.objects.get(pk=ids[0]).can(NAMES[0])  # noqa: S101 - the role is no user's memory
    users = list(User.objects.filter(pk__in=ids))
    django_users = list(DjangoUser.objects.filter(pk__in=ids))
    yield Figure(
        name="P10 memory of a user, what the instance and the process keep",
        value=measure_memory(lambda: [user.can(NAMES[0]) for user in users]) / _USERS,
        unit="bytes",
        peers={
            f"Django's has_perm(), {_PERMISSIONS_PER_ROLE} permissions": measure_memory(
                lambda: [user.has_perm(name_for_django(NAMES[0])) for user in django_users]
            )
            / _USERS
        },
        goal=1024,
        is_less_better=True,
    )
    names = _make_roles()
    role_ids = list(Role.objects.filter(name__startswith="amount ").values_list("pk", flat=True))
    registrar.clear()
    yield Figure(
        name=f"P10 memory of {_ROLES:,} roles with {_PERMISSIONS_PER_ROLE} permissions each",
        value=measure_memory(lambda: [registrar.get_role_names(role_id) for role_id in role_ids]) / 1e6,
        unit="MB",
        peers={"pycasbin": measure_memory(lambda: make_enforcer(names)) / 1e6},
        goal=64,
        is_less_better=True,
    )


def _make_roles() -> list[str]:
    """Store the roles, each with permissions of its own choice, and return the names that they hold."""
    chooser = random.Random(1)  # noqa: S311 - the same choice in every run
    ids = dict(DjangoPermission.objects.filter(codename__in=NAMES[:10_000]).values_list("codename", "pk"))
    held: list[str] = []
    through = Group.permissions.through
    rows = []
    for number in range(_ROLES):
        role = Role.create(f"amount {number}")
        chosen = chooser.sample(sorted(ids), _PERMISSIONS_PER_ROLE)
        held += chosen
        rows += [through(group_id=role.pk, permission_id=ids[name]) for name in chosen]
    for some in batched(rows, 5_000, strict=False):
        through.objects.bulk_create(some)
    registrar.clear()
    return held

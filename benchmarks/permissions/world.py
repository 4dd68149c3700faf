"""The permissions, roles and users that are measured with."""

import gc
import tracemalloc
from collections.abc import Callable, Collection

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from permissions import registrar
from permissions.models import Permission, Role

MANY = 100_000
#: Names of free permissions; in Django's spelling the guard comes first.
NAMES = [f"bench.item{number:06}" for number in range(MANY)]
GUARD = "web"


def name_for_django(name: str) -> str:
    """Return what Django calls a free permission."""
    return f"{GUARD}.{name}"


def make_role(name: str, permissions: Collection[str]) -> Role:
    """Store a role with these permissions, however many."""
    role = Role.create(name)
    rows = Permission.objects.filter(content_type__app_label=GUARD, content_type__model="permission")
    ids = dict(rows.values_list("codename", "pk"))
    through = Group.permissions.through
    through.objects.bulk_create(
        [through(group_id=role.pk, permission_id=ids[one]) for one in permissions], batch_size=5_000
    )
    registrar.clear()
    return role


def make_user(email: str, *roles: Role, is_superuser: bool = False) -> User:
    """Store a user who has these roles."""
    user = User.objects.create(email=email, is_superuser=is_superuser)
    user.assign_role(*roles)
    return user


def make_users(prefix: str, count: int, *roles: Role) -> list[User]:
    """Store users who all have these roles."""
    return [make_user(f"{prefix}{number}@example.com", *roles) for number in range(count)]


def find_permission(name: str) -> DjangoPermission:
    """Return the row of a free permission."""
    return DjangoPermission.objects.get(content_type__app_label=GUARD, codename=name)


def count_queries(action: Callable[[], object]) -> int:
    """Return how many statements an action sends, those that only begin or end transactions aside."""
    return len(list_queries(action))


def list_queries(action: Callable[[], object]) -> list[str]:
    """Return the statements that an action sends, those that only begin or end transactions aside."""
    with CaptureQueriesContext(connection) as captured:
        action()
    words = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    return [query["sql"] for query in captured.captured_queries if not query["sql"].upper().startswith(words)]


def measure_memory(action: Callable[[], object]) -> float:
    """Return how many bytes more are in use after an action, whose result is kept until then."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = action()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return float(after - before)

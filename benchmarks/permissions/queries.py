"""What costs queries: a request, a page of objects, a grant."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from guardian.backends import ObjectPermissionBackend
from guardian.core import ObjectPermissionChecker
from guardian.shortcuts import assign_perm, get_objects_for_user

from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from benchmarks.harness import Figure, action, race
from benchmarks.permissions.peers import DjangoUser
from benchmarks.permissions.world import (
    NAMES,
    count_queries,
    find_permission,
    make_role,
    make_user,
    make_users,
    name_for_django,
)
from permissions import gate, registrar
from permissions.managers import PermittedQuerySet

_PAGE = 100
_ABILITIES = ("view_user", "change_user", "delete_user")


def measure_requests() -> Iterator[Figure]:
    """Count the queries by which a request to the API costs more for a user with a role than for a superuser."""
    role = make_role("reader", NAMES[:200])
    role.give_permission_to("accounts.view_user")
    user = make_user("reader@example.com", role)
    request, exempt = _request(user), _request(make_user("root@example.com", is_superuser=True))
    exempt()
    at_least = count_queries(exempt)
    registrar.clear()
    cold = count_queries(request) - at_least
    registrar.clear()
    _request(make_user("other@example.com", role))()
    new = count_queries(request) - at_least
    warm = count_queries(request) - at_least
    django_user = DjangoUser.objects.get(pk=user.pk)
    peers = {"Django's has_perm()": float(count_queries(lambda: django_user.has_perm(name_for_django(NAMES[0]))))}
    for name, value, goal in (
        ("everything known", warm, 0),
        ("roles known, the user not", new, 1),
        ("nothing known", cold, None),
    ):
        yield Figure(
            name=f"P4 queries for permissions, request with a token, {name}",
            value=value,
            unit="",
            peers=peers,
            goal=goal,
            is_less_better=True,
        )


def _request(user: User) -> Callable[[], None]:
    token = issue_access_token(
        subject=str(user.pk), client_id=FIRST_PARTY_CLIENT_ID, now=timezone.now(), lifetime=timedelta(hours=1)
    )
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})

    def request() -> None:
        response = client.get("/api/v1/users?page_size=1")
        assert response.status_code == 200, response.content  # noqa: S101 - a refused request costs less

    return request


def measure_page() -> Iterator[Figure]:
    """Ask about each object of a page three times, as a list with buttons does."""
    role = make_role("objects", NAMES[:FEW_NAMES])
    reader = make_user("page@example.com", role)
    objects = make_users("object", _PAGE)
    for codename in _ABILITIES:
        for one in objects[::2]:
            assign_perm(f"accounts.{codename}", reader, one)
        assign_perm(f"accounts.{codename}", Group.objects.get(pk=role.pk), objects[1])
    _ask_prefetched(reader.pk, objects)
    ways = {
        "ours": partial(_ask_prefetched, reader.pk, objects),
        "prefetched": partial(_ask_guardian_prefetched, reader.pk, objects),
        "single": partial(_ask_guardian, reader.pk, objects),
    }
    sums = {name: way() for name, way in ways.items()}
    assert len(set(sums.values())) == 1, sums  # noqa: S101 - a figure of wrong answers is worth nothing
    sent = {name: count_queries(way) - 1 for name, way in ways.items()}  # one loads the user
    took = race({name: action(way) for name, way in ways.items()})
    names = {"guardian, prefetched": "prefetched", "guardian's has_perm()": "single"}
    yield Figure(
        name=f"P6 queries for {_PAGE} objects x {len(_ABILITIES)} permissions",
        value=sent["ours"],
        unit="",
        peers={name: sent[key] for name, key in names.items()},
        goal=2,
        is_less_better=True,
    )
    yield Figure(
        name=f"P6 time for {_PAGE} objects x {len(_ABILITIES)} permissions",
        value=took["ours"] * 1e3,
        unit="ms",
        peers={name: took[key] * 1e3 for name, key in names.items()},
    )
    yield from _measure_list(reader.pk, objects)


FEW_NAMES = 10


def _ask_prefetched(user_id: UUID, objects: list[User]) -> int:
    user = User.objects.get(pk=user_id)
    gate.prefetch(user, objects)
    return sum(user.can(f"accounts.{codename}", one) for one in objects for codename in _ABILITIES)


def _ask_guardian_prefetched(user_id: UUID, objects: list[User]) -> int:
    checker = ObjectPermissionChecker(User.objects.get(pk=user_id))
    checker.prefetch_perms(User.objects.filter(pk__in=[one.pk for one in objects]))
    return sum(checker.has_perm(codename, one) for one in objects for codename in _ABILITIES)


def _ask_guardian(user_id: UUID, objects: list[User]) -> int:
    user, backend = User.objects.get(pk=user_id), ObjectPermissionBackend()
    return sum(backend.has_perm(user, f"accounts.{codename}", one) for one in objects for codename in _ABILITIES)


def _measure_list(user_id: UUID, objects: list[User]) -> Iterator[Figure]:
    users: PermittedQuerySet[User] = PermittedQuerySet(User)

    def permitted() -> int:
        return len(users.permitted(User.objects.get(pk=user_id), "accounts.view_user").order_by("pk"))

    def guardian() -> int:
        return len(get_objects_for_user(User.objects.get(pk=user_id), "accounts.view_user").order_by("pk"))

    assert permitted() == guardian()  # noqa: S101 - a figure of wrong answers is worth nothing
    del objects
    took = race({"ours": action(permitted), "guardian": action(guardian)})
    yield Figure(
        name="P6 queries of a list by permitted(), the user known",
        value=count_queries(permitted) - 1 - _first_check_queries(user_id),
        unit="",
        peers={"guardian's get_objects_for_user()": count_queries(guardian) - 1},
        goal=1,
        is_less_better=True,
    )
    yield Figure(
        name="P6 time of a list by permitted()",
        value=took["ours"] * 1e3,
        unit="ms",
        peers={"guardian's get_objects_for_user()": took["guardian"] * 1e3},
    )


def _first_check_queries(user_id: UUID) -> int:
    """Return how many queries tell that what is remembered of a user still holds."""
    user = User.objects.get(pk=user_id)
    return count_queries(lambda: user.can(NAMES[0]))


def measure_grant() -> Iterator[Figure]:
    """Give a role one permission; then look at who has another role."""
    role, other = make_role("granted", NAMES[:200]), make_role("unrelated", NAMES[:200])
    stranger = make_user("unrelated@example.com", other)
    member = make_user("granted@example.com", role)
    assert stranger.can(NAMES[0])  # noqa: S101 - what is known must not be forgotten
    assert not member.can(NAMES[500])  # noqa: S101 - as above
    permission = find_permission(NAMES[501])
    yield Figure(
        name="P8 queries of giving a role one permission",
        value=count_queries(lambda: role.give_permission_to(NAMES[500])),
        unit="",
        peers={"Django's permissions.add()": count_queries(lambda: role.group.permissions.add(permission))},
        goal=3,
        is_less_better=True,
    )
    assert member.can(NAMES[500])  # noqa: S101 - the grant holds at once
    fresh = User.objects.get(pk=stranger.pk)
    yield Figure(
        name="P8 queries of the next check of somebody in another role",
        value=count_queries(lambda: fresh.can(NAMES[0])),
        unit="",
        goal=2,
        is_less_better=True,
    )

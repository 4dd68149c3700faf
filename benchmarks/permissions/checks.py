"""Single checks: warm, async, with wildcards, and the first one."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission as DjangoPermission
from django.test.utils import override_settings
from guardian.backends import ObjectPermissionBackend
from guardian.shortcuts import assign_perm

from accounts.models import User
from benchmarks.harness import Figure, Probe, awaited, race, statement
from benchmarks.permissions.peers import ACTION, SUBJECT, DjangoUser, make_enforcer
from benchmarks.permissions.world import (
    MANY,
    NAMES,
    make_role,
    make_user,
    make_users,
    measure_memory,
    name_for_django,
)
from permissions import registrar
from permissions.services import sync_permission_definitions
from permissions.wildcard import WildcardPermission

if TYPE_CHECKING:
    from permissions.models import Role

FEW = 10


def measure_warm() -> Iterator[Figure]:
    """Ask a user who was asked before, who has a role with few permissions, and one with many."""
    probes: dict[str, Probe] = {}
    for count in (FEW, MANY):
        probes |= {f"{name} {count}": probe for name, probe in _warm_probes(count).items()}
    took = race(probes, runs=11)
    for count in (FEW, MANY):
        yield Figure(
            name=f"P1 can(), warm, {count:,} permissions",
            value=1 / took[f"can {count}"],
            unit="1/s",
            peers={
                "Django's has_perm()": 1 / took[f"has_perm {count}"],
                "guardian's backend, about an object": 1 / took[f"guardian {count}"],
                "pycasbin": 1 / took[f"casbin {count}"],
                "pycasbin's FastEnforcer": 1 / took[f"fast {count}"],
            },
            goal=2_000_000,
        )
    times = min(took[f"has_perm {count}"] / took[f"can {count}"] for count in (FEW, MANY))
    yield Figure(name="P1 can(), warm: times as fast as Django's has_perm()", value=times, unit="x", goal=3.5)
    yield _slope("P1 can(), warm", took, "can", {"Django's has_perm()": "has_perm", "pycasbin": "casbin"})
    yield Figure(
        name=f"P2 await acan(), warm, {MANY:,} permissions",
        value=1 / took[f"acan {MANY}"],
        unit="1/s",
        peers={"Django's ahas_perm()": 1 / took[f"ahas_perm {MANY}"]},
    )
    yield Figure(
        name="P2 await acan(): times the time of can()",
        value=max(took[f"acan {count}"] / took[f"can {count}"] for count in (FEW, MANY)),
        unit="x",
        peers={
            "can(), and what Python takes to await a method that does nothing": max(
                1 + (took[f"async nothing {count}"] - took[f"nothing {count}"]) / took[f"can {count}"]
                for count in (FEW, MANY)
            ),
            "Django's ahas_perm() and has_perm()": took[f"ahas_perm {MANY}"] / took[f"has_perm {MANY}"],
        },
        goal=1.2,
        is_less_better=True,
    )
    yield _slope("P2 await acan(), warm", took, "acan", {"Django's ahas_perm()": "ahas_perm"})


class _Nothing:
    """Methods of the same form that do nothing: they cost what the language does."""

    def can(self, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
        del ability, obj, guard
        return True

    async def acan(self, ability: str, obj: object = None, *, guard: str | None = None) -> bool:
        del ability, obj, guard
        return True


def _warm_probes(count: int) -> dict[str, Probe]:
    names = NAMES[:count]
    asked = names[count // 2]  # pycasbin looks at one rule after the other
    user_id = make_user(f"warm{count}@example.com", make_role(f"warm {count}", names)).pk
    user = User.objects.get(pk=user_id)
    assert user.can(asked)  # noqa: S101 - a figure of wrong answers is worth nothing
    django_user = DjangoUser.objects.get(pk=user_id)
    django_name = name_for_django(asked)
    assert django_user.has_perm(django_name)  # noqa: S101 - as above
    assign_perm(find_permission_on_user("view_user"), user, user)
    backend = ObjectPermissionBackend()
    assert backend.has_perm(user, "accounts.view_user", user)  # noqa: S101 - as above
    empty = _Nothing()
    casbin, fast = make_enforcer(names), make_enforcer(names, is_fast=True)
    assert casbin.enforce(SUBJECT, asked, ACTION)  # noqa: S101 - as above
    assert fast.enforce(SUBJECT, asked, ACTION)  # noqa: S101 - as above

    async def acan(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            await user.acan(asked)
        return time.perf_counter() - started

    async def nothing(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            await empty.acan(asked)
        return time.perf_counter() - started

    async def ahas_perm(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            await django_user.ahas_perm(django_name)
        return time.perf_counter() - started

    return {
        "can": statement("user.can(name)", user=user, name=asked),
        "acan": awaited(acan),
        "nothing": statement("user.can(name)", user=empty, name=asked),
        "async nothing": awaited(nothing),
        "has_perm": statement("user.has_perm(name)", user=django_user, name=django_name),
        "ahas_perm": awaited(ahas_perm),
        "guardian": statement("ask(user, 'accounts.view_user', user)", ask=backend.has_perm, user=user),
        "casbin": statement("ask(*request)", ask=casbin.enforce, request=(SUBJECT, asked, ACTION)),
        "fast": statement("ask(*request)", ask=fast.enforce, request=(SUBJECT, asked, ACTION)),
    }


def find_permission_on_user(codename: str) -> DjangoPermission:
    """Return one of Django's permissions of the user model."""
    return DjangoPermission.objects.get(content_type__app_label="accounts", codename=codename)


def _slope(name: str, took: dict[str, float], ours: str, peers: dict[str, str]) -> Figure:
    def percent(which: str) -> float:
        return max(0.0, (took[f"{which} {MANY}"] / took[f"{which} {FEW}"] - 1) * 100)

    return Figure(
        name=f"{name}: slower with {MANY:,} permissions than with {FEW}",
        value=percent(ours),
        unit="%",
        peers={peer: percent(which) for peer, which in peers.items()},
        goal=10,
        is_less_better=True,
    )


def measure_wildcards() -> Iterator[Figure]:
    """Ask matchers of few and of many grants, questions of four parts, new ones and one that was asked before."""
    few, many = WildcardPermission(_grants(FEW)), WildcardPermission(_grants(MANY))
    thousand = make_enforcer(_grants(1_000), match="keyMatch(r.obj, p.obj)")
    asked = "app5.item5.edit.7"
    role = make_role("wildcards", NAMES[:FEW])
    with override_settings(PERMISSIONS={"WILDCARDS": True}):
        role.give_permission_to(*_make_patterns())
        user = make_user("wildcards@example.com", role)
        assert few.matches(asked)  # noqa: S101 - a figure of wrong answers is worth nothing
        assert many.matches(asked)  # noqa: S101 - as above
        assert user.can(asked)  # noqa: S101 - as above
        took = race(
            {
                f"memo {FEW}": statement("ask(query)", ask=few.matches, query=asked),
                f"memo {MANY}": statement("ask(query)", ask=many.matches, query=asked),
                f"cold {FEW}": _ask_anew(few),
                f"cold {MANY}": _ask_anew(many),
                "can": statement("user.can(name)", user=user, name=asked),
                "casbin": statement("ask(*request)", ask=thousand.enforce, request=(SUBJECT, asked, ACTION)),
            }
        )
    registrar.clear()
    casbin = {"pycasbin's keyMatch, 1,000 grants": took["casbin"] * 1e6}
    for name, key, goal in (
        ("a question asked before", f"memo {MANY}", 0.5),
        ("a new question", f"cold {MANY}", 2.5),
    ):
        yield Figure(
            name=f"P3 wildcards, {MANY:,} grants: {name}",
            value=took[key] * 1e6,
            unit="µs",
            peers=casbin,
            goal=goal,
            is_less_better=True,
        )
    yield _slope("P3 wildcards, a new question", took, "cold", {})
    yield Figure(
        name="P3 can() with wildcards, asked before",
        value=took["can"] * 1e6,
        unit="µs",
        peers=casbin,
        goal=0.5,
        is_less_better=True,
    )


def _grants(count: int) -> list[str]:
    return [f"app{number}.item{number}.edit,view.*" if number % 2 else f"app{number}.*" for number in range(count)]


def _make_patterns() -> list[str]:
    patterns = _grants(FEW)
    sync_permission_definitions(names=patterns)
    return patterns


def _ask_anew(matcher: WildcardPermission) -> Probe:
    asked = iter(range(1_000_000_000))

    def probe(times: int) -> float:
        queries = [
            f"app{number % FEW}.item{number % FEW}.edit.{number}"
            for number, _ in zip(asked, range(times), strict=False)
        ]
        matches = matcher.matches
        started = time.perf_counter()
        for query in queries:
            matches(query)
        return time.perf_counter() - started

    return probe


def measure_cold() -> Iterator[Figure]:
    """Ask users for the first time who have a role with many permissions."""
    role = make_role("cold", NAMES)
    users = make_users("cold", 40, role)
    first = _time_first_checks(users, role)
    yield Figure(
        name=f"P5 first check of a user, {MANY:,} permissions in a known role",
        value=first["can"] * 1e3,
        unit="ms",
        peers={"Django's has_perm()": first["has_perm"] * 1e3},
        goal=2,
        is_less_better=True,
    )
    yield Figure(
        name=f"P5 first check of a process: load a role of {MANY:,}",
        value=statistics.median(_load_role(users[0]) for _ in range(5)) * 1e3,
        unit="ms",
        goal=400,
        is_less_better=True,
    )
    user_id = users[0].pk
    django_user = DjangoUser.objects.get(pk=user_id)
    name = name_for_django(NAMES[-1])
    registrar.clear()
    yield Figure(
        name=f"P5 memory of a role of {MANY:,}, once per process",
        value=measure_memory(lambda: _ask(User.objects.get(pk=user_id))) / 1e6,
        unit="MB",
        peers={"Django's, once per user": measure_memory(lambda: django_user.has_perm(name)) / 1e6},
        goal=40,
        is_less_better=True,
    )


def _time_first_checks(users: list[User], role: "Role") -> dict[str, float]:
    """Return medians; only every fourth user is Django's, which takes so much longer."""
    registrar.clear()
    registrar.load_roles([role.pk])
    _ask(User.objects.get(pk=users[0].pk))
    taken: dict[str, list[float]] = {"can": [], "has_perm": []}
    for number, user in enumerate(users[1:]):
        ours = User.objects.get(pk=user.pk)
        taken["can"].append(_time(partial(ours.can, NAMES[-1])))
        if number % 4 == 0:
            theirs = DjangoUser.objects.get(pk=user.pk)
            taken["has_perm"].append(_time(partial(theirs.has_perm, name_for_django(NAMES[-1]))))
    return {name: statistics.median(times) for name, times in taken.items()}


def _load_role(user: User) -> float:
    fresh = User.objects.get(pk=user.pk)
    registrar.clear()
    return _time(lambda: fresh.can(NAMES[-1]))


def _ask(user: User) -> User:
    assert user.can(NAMES[-1])  # noqa: S101 - a figure of wrong answers is worth nothing
    return user


def _time(ask: Callable[[], bool]) -> float:
    started = time.perf_counter()
    is_allowed = ask()
    elapsed = time.perf_counter() - started
    assert is_allowed  # noqa: S101 - a figure of wrong answers is worth nothing
    return elapsed

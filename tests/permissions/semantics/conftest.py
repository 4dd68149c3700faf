"""The world of these tests: three roles and five permissions in two guards, and people of either guard.

The names are those of spatie/laravel-permission's own suite, so that the table in the README can be held against it.
"""

import enum
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import User
from permissions.models import Permission, Role
from permissions.scope import use_team
from project.signals import FactSignal
from tests.articles.models import Team

type Configure = Callable[..., None]
type Listen = Callable[[FactSignal[Any]], list[Any]]  # Any: each carries its own


class PermissionName(enum.Enum):
    """Names of permissions as a project writes them down once."""

    VIEW = "view-articles"
    EDIT = "edit-articles"


class RoleName(enum.Enum):
    """Names of roles as a project writes them down once."""

    WRITER = "writer"
    EDITOR = "editor"
    TEST_ROLE = "testRole"


@dataclass(frozen=True, kw_only=True)
class World:
    """What every test of this folder finds in the database."""

    role: Role
    role2: Role
    admin_role: Role
    edit_articles: Permission
    edit_news: Permission
    edit_blog: Permission
    edit_news_with_space: Permission
    admin_permission: Permission


@pytest.fixture
def configure(settings: Settings) -> Configure:
    """Return a function that changes keys of ``PERMISSIONS`` and leaves the others."""

    def change(**values: object) -> None:
        settings.PERMISSIONS = {**getattr(settings, "PERMISSIONS", {}), **values}

    return change


@pytest.fixture(autouse=True)
def world(db: None, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make the roles and permissions; users are of the guards web and api, as far as a test says nothing else."""
    configure(GUARDS=["web", "api", "admin"])
    monkeypatch.setattr(User, "get_guard_names", lambda self: ("web", "api"))
    return World(
        role=Role.create("testRole"),
        role2=Role.create("testRole2"),
        admin_role=Role.create("testAdminRole", guard="admin"),
        edit_articles=Permission.create("edit-articles"),
        edit_news=Permission.create("edit-news"),
        edit_blog=Permission.create("edit-blog"),
        edit_news_with_space=Permission.create("Edit News"),
        admin_permission=Permission.create("admin-permission", guard="admin"),
    )


@pytest.fixture
def user(world: World) -> User:
    """A user of the guards web and api who holds nothing."""
    return User.objects.create(email="test@example.com")


@pytest.fixture
def second_user(world: World) -> User:
    """Another one."""
    return User.objects.create(email="second@example.com")


@pytest.fixture
def third_user(world: World) -> User:
    """And another one."""
    return User.objects.create(email="third@example.com")


@pytest.fixture
def admin(world: World, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user of the guard admin alone who holds nothing. Other instances of the row are of web and api."""
    admin = User.objects.create(email="admin@example.com")
    monkeypatch.setattr(admin, "get_guard_names", lambda: ("admin",))
    return admin


@pytest.fixture
def role(world: World) -> Role:
    """The role ``testRole`` of the guard web."""
    return world.role


@pytest.fixture
def role2(world: World) -> Role:
    """The role ``testRole2`` of the guard web."""
    return world.role2


@pytest.fixture
def admin_role(world: World) -> Role:
    """The role ``testAdminRole`` of the guard admin."""
    return world.admin_role


@pytest.fixture
def teams(world: World, configure: Configure) -> tuple[Team, Team]:
    """Turn teams on and make two. The world's roles were made outside of any team, so they serve in every team."""
    configure(TEAM_MODEL="articles.Team")
    return Team.objects.create(name="one"), Team.objects.create(name="two")


@pytest.fixture(params=["outside of any team", "in a team"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test twice: without teams, and as somebody who works in the first of two teams."""
    if request.param == "outside of any team":
        yield
        return
    first, _ = request.getfixturevalue("teams")
    with use_team(first):
        yield


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Return a function that listens to a signal and returns the list into which its facts will go."""
    with ExitStack() as stack:

        def begin(signal: FactSignal[Any]) -> list[Any]:  # Any: as above
            heard: list[Any] = []  # Any: as above
            signal.listen(heard.append)
            stack.callback(signal.unlisten, heard.append)
            return heard

        yield begin


def fresh(user: User) -> User:
    """Return the row as the next request would load it."""
    return User.objects.get(pk=user.pk)

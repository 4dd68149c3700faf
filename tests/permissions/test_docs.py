"""``docs/permissions.md`` is held to the code: its settings, its verbs, its code blocks and what it shows as output."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings
from guardian.shortcuts import assign_perm

from accounts.models import User
from permissions import gate
from permissions.conf import Conf
from permissions.mixins import HasRoles, HoldsPermissions, PermissionVerbs, RoleVerbs
from permissions.models import Permission, Role
from tests.articles.models import Article, Team
from tests.permissions.semantics.test_twins import verbs

GUIDE = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text()
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SETTINGS = ("Key", "Default", "Meaning")
VERBS = ("Verb", "On", "Takes", "Does")
#: Letters of the column "On", with the class that they stand for and those that define its verbs.
HOLDERS: dict[str, tuple[type, tuple[type, ...]]] = {
    "U": (HasRoles, (HoldsPermissions, HasRoles)),
    "R": (Role, (HoldsPermissions, RoleVerbs)),
    "P": (Permission, (PermissionVerbs,)),
}


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return [found["code"] for found in BLOCK.finditer(GUIDE) if found["language"] == language]


def table(*heads: str) -> Iterator[list[str]]:
    """Give the cells of each row of the table with these heads."""
    lines = iter(GUIDE.splitlines())
    head = f"| {' | '.join(heads)} |"
    assert head in lines, f"no table {head}"
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def named_verbs() -> set[tuple[str, str]]:
    """Return the letter of a class and the name of a verb, for each that the table names."""
    return {
        (letter, name)
        for cells in table(*VERBS)
        for letter in cells[1].split()
        for name in re.findall(r"`(\w+)`", cells[0])
    }


# Settings


def test_the_settings_are_those_of_the_code_with_their_defaults() -> None:
    described = {key.strip("`"): ast.literal_eval(default.strip("`")) for key, default, _ in table(*SETTINGS)}
    assert described == {field.name.upper(): field.default for field in fields(Conf)}


def test_each_setting_is_described_once_and_in_words() -> None:
    rows = list(table(*SETTINGS))
    assert len({key for key, _, _ in rows}) == len(rows)
    assert all(meaning for _, _, meaning in rows)


# Verbs


@pytest.mark.parametrize(("letter", "name"), sorted(named_verbs()))
def test_a_named_verb_is_there_and_has_a_twin(letter: str, name: str) -> None:
    holder, _ = HOLDERS[letter]
    assert callable(getattr(holder, name))
    assert inspect.iscoroutinefunction(getattr(holder, f"a{name}"))


@pytest.mark.parametrize("letter", HOLDERS)
def test_every_verb_is_named(letter: str) -> None:
    _, places = HOLDERS[letter]
    defined = {name for place in places for name in verbs(place)}
    assert {name for own, name in named_verbs() if own == letter} == defined


# Code


@pytest.mark.parametrize("code", blocks("python"))
def test_python_compiles(code: str) -> None:
    compile(code, "docs/permissions.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("line", [line for code in blocks("sh") for line in code.splitlines()])
def test_a_line_for_the_shell_runs_a_command(line: str, db: None) -> None:
    program, *arguments = shlex.split(line, comments=True)
    User.objects.create(email="ada@example.com")
    assert program == "manage.py"
    call_command(*arguments, stdout=StringIO())


@pytest.mark.django_db
def test_the_first_minute_goes_as_told() -> None:
    User.objects.create(email="ada@example.com")
    said = ""
    for line in blocks("sh")[0].splitlines():
        output = StringIO()
        call_command(*shlex.split(line, comments=True)[1:], stdout=output)
        said = output.getvalue()
    assert said == blocks("text")[0]
    exec(compile(blocks("python")[0], "docs/permissions.md", "exec"), {})  # noqa: S102 - our own guide


@pytest.mark.django_db
@override_settings(PERMISSIONS={"TEAM_MODEL": "articles.Team"})
def test_explanations_are_what_is_shown() -> None:
    ada = User.objects.create(email="ada@example.com")
    team = Team.objects.create(pk=3, name="red")
    article = Article.objects.create(pk=7, title="t", author=User.objects.create(email="other@example.com"), team=team)

    class ArticlePolicy:
        def change(self, user: User, article: Article) -> bool | None:
            return True if article.author_id == user.pk else None

    gate.policy(Article)(ArticlePolicy)
    assign_perm("articles.change_article", ada, article)
    assert f"{ada.explain('articles.change_article', article)}\n" == blocks("text")[1]
    ada.forbid_permission_to("articles.change_article", team=3)
    assert f"{ada.explain('articles.change_article', article)}\n" == blocks("text")[2]

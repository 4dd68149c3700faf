"""A process that answers questions about rights, so that a test can watch what another process knows.

Each line of its input is a question in JSON, each line of its output the answer. The user is loaded anew for every
question, as every request does, and what the process remembers stays. Run by ``test_processes``.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import TypedDict
from uuid import UUID

import django
from django.apps import apps

if not apps.ready:
    django.setup()  # this is the process; the imports below need it

from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings

from accounts.models import User
from permissions import registrar
from permissions.backends import RoleBackend
from permissions.scope import use_team
from tests.processes import ROOT, child_environment, database_url


class Question(TypedDict):
    """What the process is asked."""

    user: str
    permission: str
    load: str
    team: str | None


class Answer(TypedDict):
    """What it says."""

    answer: bool
    #: How many queries the check made.
    check_queries: int
    #: How many it took to load the user.
    load_queries: int


class Asker:
    """The process, as seen from the test."""

    def __init__(self, process: Popen[str]) -> None:
        self._process = process

    def ask(self, user: User, permission: str, *, load: str = "manager", team: str | None = None) -> Answer:
        """Ask whether the user may; ``load`` says whether a manager or the auth backend brings the user."""
        question: Question = {"user": str(user.pk), "permission": permission, "load": load, "team": team}
        answer: Answer = json.loads(self._send(json.dumps(question)))
        return answer

    def can(self, user: User, permission: str, *, load: str = "manager", team: str | None = None) -> bool:
        """Say whether the user may, as the other process sees it."""
        return self.ask(user, permission, load=load, team=team)["answer"]

    def forget(self) -> None:
        """Let the process forget what it knew of another test's database."""
        self._send(json.dumps(None))

    def _send(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the other process has died"
        return answer


@contextmanager
def asker(**permissions: object) -> Iterator[Asker]:
    """Run the process on the database of the test, with these ``settings.PERMISSIONS``."""
    process = Popen(
        [sys.executable, "-m", __name__, json.dumps(permissions)],
        env=child_environment(DJANGO_SETTINGS_MODULE="project.settings.test", TEST_DATABASE_URL=database_url()),
        cwd=ROOT,
        text=True,
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        yield Asker(process)
    finally:
        process.kill()
        process.communicate()


def _answer(question: Question) -> Answer:
    with CaptureQueriesContext(connection) as loading:
        user = _LOADERS[question["load"]](question["user"])
    with CaptureQueriesContext(connection) as asking, use_team(question["team"]):
        answer = user is not None and user.can(question["permission"])
    return Answer(answer=answer, check_queries=len(asking), load_queries=len(loading))


def _load_by_backend(key: str) -> User | None:
    """Return the user, None where the backend lets nobody in."""
    user = RoleBackend().get_user(UUID(key))
    assert user is None or isinstance(user, User)
    return user


_LOADERS: dict[str, Callable[[str], User | None]] = {
    "manager": lambda key: User.objects.get(pk=key),
    "backend": _load_by_backend,
}


def _main() -> None:
    override_settings(PERMISSIONS=json.loads(sys.argv[1])).enable()
    for line in sys.stdin:
        question: Question | None = json.loads(line)
        if question is None:
            registrar.clear()
        sys.stdout.write(json.dumps(question and _answer(question)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()

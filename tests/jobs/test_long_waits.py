"""Who should be told of jobs that wait for too long is told, once in a while, and never at the cost of a worker."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import OperationalError, connection, connections
from django.utils import timezone
from pytest_django import Settings

from jobs.models.queued import EVERY_QUEUE
from jobs.queues import pause_queue
from jobs.selectors import describe_long_wait
from jobs.services import tell_long_waits
from jobs.signals import LongWaitDetected, long_wait_detected
from jobs.worker import lookout
from jobs.worker.lookout import Lookout
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.messages import push
from tests.jobs.outbox_store import Server
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import claim_one, heard
from tests.waiting import wait_until

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class RefusingBackend(BaseEmailBackend):
    """A mail server that is away."""

    def send_messages(self, email_messages: object) -> int:
        raise ConnectionRefusedError


@pytest.fixture(autouse=True)
def addresses(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "ALERT_EMAILS": ["ops@example.com", "more@example.com"]}


def say(settings: Settings, **words: object) -> None:
    settings.JOBS = {**settings.JOBS, **words}


def push_old(queue: str = "emails", *, age: timedelta = 5 * MINUTE) -> None:
    push(queue=queue, at=timezone.now() - age)


def places(facts: list[LongWaitDetected]) -> set[str]:
    return {fact.queue for fact in facts}


# --- What is told


def test_a_queue_whose_oldest_job_waits_too_long_is_logged_announced_and_mailed(
    job_connection: str, mailoutbox: list[EmailMessage], caplog: pytest.LogCaptureFixture
) -> None:
    push_old("emails")
    push_old("default", age=30 * SECOND)
    push("later", queue="high", at=timezone.now() + MINUTE)
    with heard(long_wait_detected) as seen:
        (fact,) = tell_long_waits()
    assert [one for _, one in seen] == [fact]
    assert (fact.connection, fact.queue, fact.limit) == (job_connection, "emails", MINUTE)
    assert 5 * MINUTE - SECOND <= fact.wait < 6 * MINUTE  # by the clock of the store
    (mail,) = mailoutbox
    assert mail.to == ["ops@example.com", "more@example.com"]
    assert mail.subject == "Jobs wait too long in the queue emails"
    assert describe_long_wait(fact) in mail.body
    assert "queue_health" in mail.body
    assert "long_wait" in caplog.text


def test_all_that_is_new_is_told_in_one_mail(job_connection: str, mailoutbox: list[EmailMessage]) -> None:
    for number in range(60):
        push_old(f"q{number}")
    assert len(tell_long_waits()) == 60
    (mail,) = mailoutbox
    assert mail.subject.endswith("and 59 more")
    assert mail.body.count("has waited for") == 50
    assert "And 10 more." in mail.body


def test_a_job_that_runs_waits_no_more(job_connection: str) -> None:
    push_old("emails")
    claim_one("emails")
    assert not tell_long_waits()


def test_a_queue_that_rests_is_told_of_as_such(job_connection: str, mailoutbox: list[EmailMessage]) -> None:
    push_old("emails")
    pause_queue(EVERY_QUEUE)
    (fact,) = tell_long_waits()
    assert fact.is_paused
    assert "The queue rests." in mailoutbox[0].body


def test_limits_are_the_settings_and_nothing_is_told_of_without(job_connection: str, settings: Settings) -> None:
    push_old("emails")
    push_old("default")
    say(settings, LONG_WAIT_SECONDS=0)
    assert not tell_long_waits()
    say(settings, LONG_WAITS={"emails": 10})
    assert places(tell_long_waits()) == {"emails"}
    say(settings, LONG_WAIT_SECONDS=10, LONG_WAITS={"emails": 0}, ALERT_WINDOW_SECONDS=0)
    assert places(tell_long_waits()) == {"default"}


def test_without_addresses_no_mail_is_sent(
    job_connection: str, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    say(settings, ALERT_EMAILS=[])
    push_old()
    assert tell_long_waits()
    assert not mailoutbox


def test_the_outbox_is_told_of_while_its_store_is_away(
    server: Server, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    server.kill()
    say(settings, LONG_WAIT_SECONDS=0.001)
    NoteJob.dispatch("path", "text")
    (fact,) = wait_until(tell_long_waits)
    assert (fact.connection, fact.queue, fact.in_outbox) == ("outbox", EVERY_QUEUE, True)
    assert mailoutbox[0].subject == "Jobs wait too long in the outbox of outbox"
    assert not tell_long_waits()


def test_names_of_strangers_end_no_line(job_connection: str, mailoutbox: list[EmailMessage]) -> None:
    push_old("a\r\nBcc: all@example.com\x1b[31m")
    tell_long_waits()
    (mail,) = mailoutbox
    assert mail.subject == r"Jobs wait too long in the queue a\r\nBcc: all@example.com\x1b[31m"
    assert mail.message()["Bcc"] is None
    assert mail.recipients() == ["ops@example.com", "more@example.com"]
    assert all(line.isprintable() for line in mail.body.splitlines())


# --- How often


def test_the_same_queue_is_told_of_once_in_the_window_whoever_looks(job_connection: str, settings: Settings) -> None:
    push_old("emails")
    assert places(tell_long_waits()) == {"emails"}
    push_old("default")
    assert places(tell_long_waits()) == {"default"}
    assert not tell_long_waits()


def test_it_is_told_of_again_when_the_window_is_over(job_connection: str, settings: Settings) -> None:
    say(settings, ALERT_WINDOW_SECONDS=0.05)
    push_old("emails")
    assert tell_long_waits()
    assert wait_until(tell_long_waits)


def test_one_worker_looks_and_the_others_leave_it_to_it(job_connection: str, settings: Settings) -> None:
    say(settings, ALERT_WINDOW_SECONDS=0)
    push_old("emails")
    first, second = Lookout(), Lookout()
    with heard(long_wait_detected) as seen:
        second.look()
        for _ in range(3):
            first.look()
        assert len(seen) == 1
        second.look()
        assert len(seen) == 2


@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_the_same_moment_tell_once(settings: Settings, mailoutbox: list[EmailMessage]) -> None:
    push_old("emails")
    start = threading.Barrier(8)

    def look() -> None:
        try:
            start.wait()
            tell_long_waits()
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mailoutbox) == 1


def test_what_is_noted_as_told_is_told_though_the_next_can_not_be_noted(
    job_connection: str, mailoutbox: list[EmailMessage]
) -> None:
    for queue in "abc":
        push_old(queue)

    def break_off(execute: Callable[..., object], sql: str, params: Sequence[object] | None, *more: object) -> object:
        if any(str(one).endswith(":c") for one in params or ()):
            raise OperationalError
        return execute(sql, params, *more)

    with heard(long_wait_detected) as seen:
        with connection.execute_wrapper(break_off), pytest.raises(OperationalError):
            tell_long_waits()
        assert [fact.queue for _, fact in seen] == ["a", "b"]
    (mail,) = mailoutbox
    assert mail.subject == "Jobs wait too long in the queue a and 1 more"
    assert places(tell_long_waits()) == {"c"}


# --- At nobody's cost


def test_a_mail_server_that_is_away_is_logged_and_no_more(
    job_connection: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MAILERS = {"default": {"BACKEND": f"{__name__}.RefusingBackend"}}
    push_old("emails")
    with heard(long_wait_detected) as seen:
        Lookout().look()
    assert len(seen) == 1
    assert "alert_not_mailed" in caplog.text


@contextmanager
def silent_mail_server() -> Iterator[int]:
    """Yield the port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.django_db(transaction=True)
def test_a_worker_works_and_ends_while_the_mail_server_says_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lookout, "LOOK_PERIOD", 0.01 * SECOND)
    push_old("nobody's")
    with silent_mail_server() as port:
        options = {"host": "127.0.0.1", "port": port, "timeout": 30}
        smtp = "django.core.mail.backends.smtp.EmailBackend"
        settings.MAILERS = {"default": {"BACKEND": smtp, "OPTIONS": options}}
        worker = Worker(WorkerOptions(queues=["notes"], sleep=0.01 * SECOND, has_keeper=True, max_jobs=1))

        def run() -> None:
            worker.run()
            connections.close_all()

        with heard(long_wait_detected) as seen:
            running = threading.Thread(target=run)
            running.start()
            wait_until(lambda: bool(seen))
            NoteJob.dispatch(str(tmp_path / "notes"), "x")
            running.join(20)
        assert not running.is_alive()
        assert len(read_lines(tmp_path / "notes")) == 1
    wait_until(lambda: all(thread.name != "lookout" for thread in threading.enumerate()))

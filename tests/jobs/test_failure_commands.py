"""Failed jobs chosen by queue, class, time and exception, to be listed, retried and deleted."""

import json
from datetime import timedelta
from io import StringIO
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs.drivers.base import get_driver
from jobs.models import FailedJob
from permissions import audit
from tests.jobs.steps import stored
from tests.jobs.terminal.terminals import terminal

HOUR = timedelta(hours=1)
#: Options, and the jobs of the story below that meet them.
CHOICES = [
    (("--queue", "emails"), "abc"),
    (("--class", "shop.ReportJob"), "cd"),
    (("--since", "90m"), "ac"),
    (("--since", "2h", "--queue", "emails"), "abc"),
    (("--exception", "TIMEOUT"), "bd"),
    (("--exception", "timeout", "--queue", "emails"), "b"),
    (("--class", "shop.ReportJob", "--since", "90m", "--queue", "emails", "--exception", "value"), "c"),
    (("--class", "shop.Report"), ""),
    (("--exception", "\udcff"), ""),
]
NAMES = ["-".join(words).replace("--", "") for words, _ in CHOICES]


def call(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def fail(letter: str, *, queue: str, job_class: str, exception: str, age: timedelta) -> None:
    FailedJob.objects.create(
        job_id=to_id(letter), connection=get_driver().name, queue=queue, job_class=job_class, payload="{}",
        attempts=1, exception=exception, failed_at=timezone.now() - age,
    )  # fmt: skip


def to_id(letter: str) -> UUID:
    return UUID(int=ord(letter))


def to_ids(letters: str) -> set[UUID]:
    return {to_id(letter) for letter in letters}


def tell() -> None:
    fail("a", queue="emails", job_class="shop.EmailJob", exception="ValueError: no", age=HOUR)
    fail("b", queue="emails", job_class="shop.EmailJob", exception="smtp.Timeout: late", age=HOUR * 1.9)
    fail("c", queue="emails", job_class="shop.ReportJob", exception="ValueError: no", age=HOUR)
    fail("d", queue="reports", job_class="shop.ReportJob", exception="smtp.Timeout: late", age=HOUR * 200)


def count_audited(event: str) -> int:
    return sum(one.data["count"] for one in audit.list_events().filter(event=event))


@pytest.mark.parametrize(("words", "letters"), CHOICES, ids=NAMES)
def test_those_that_meet_each_filter_are_retried(job_connection: str, words: tuple[str, ...], letters: str) -> None:
    tell()
    told = json.loads(call("queue_retry_failed", *words, "--json"))
    assert told == {"retried_count": len(letters), "skipped_count": 0, "missing": []}
    assert {job.job_id for job in stored()} == to_ids(letters)
    assert count_audited("job.retry_by_hand") == len(letters)


@pytest.mark.parametrize(("words", "letters"), CHOICES, ids=NAMES)
def test_those_that_meet_each_filter_are_deleted(job_connection: str, words: tuple[str, ...], letters: str) -> None:
    tell()
    told = json.loads(call("queue_forget", *words, "--json", "--no-input"))
    assert told == {"deleted_count": len(letters), "skipped_count": 0, "missing": []}
    assert set(FailedJob.objects.values_list("job_id", flat=True)) == to_ids("abcd") - to_ids(letters)
    assert count_audited("job.discard_by_hand") == len(letters)


@pytest.mark.parametrize(("words", "letters"), CHOICES, ids=NAMES)
def test_those_that_meet_each_filter_are_listed(job_connection: str, words: tuple[str, ...], letters: str) -> None:
    tell()
    assert {UUID(one["job_id"]) for one in json.loads(call("queue_failed", *words, "--json"))} == to_ids(letters)


@pytest.mark.django_db
def test_a_list_tells_how_many_more_meet_the_filters() -> None:
    tell()
    assert "These are 1 of 2" in call("queue_failed", "--class", "shop.ReportJob", "--limit", "1")


@pytest.mark.django_db
@pytest.mark.parametrize(("moment", "letters"), [("-36h", "abc"), ("-36h-date", "abc"), ("+1h", "")])
def test_since_takes_a_moment_or_a_date_too(moment: str, letters: str) -> None:
    tell()
    at = timezone.localtime() + (HOUR if moment.startswith("+") else -36 * HOUR)
    word = at.date().isoformat() if moment.endswith("date") else at.isoformat()
    found = json.loads(call("queue_failed", "--since", word, "--json"))
    assert {UUID(one["job_id"]) for one in found} == to_ids(letters)


@pytest.mark.django_db
@pytest.mark.parametrize("word", ["yesterday", "1y", "-1h", "", "2026-13-01", "٣h"])
def test_since_refuses_what_is_no_time(word: str) -> None:
    with pytest.raises(CommandError, match="is neither an age such as"):
        call("queue_retry_failed", f"--since={word}")


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["queue_retry_failed", "queue_forget"])
def test_ids_and_filters_do_not_go_together_and_one_must_be_said(command: str) -> None:
    tell()
    for words in [(), (str(to_id("a")), "--queue", "emails")]:
        with pytest.raises(CommandError, match="Say which"):
            call(command, *words)
    assert FailedJob.objects.filter(retried_at=None).count() == 4


@pytest.mark.django_db
def test_many_are_not_deleted_without_a_question() -> None:
    tell()
    with pytest.raises(CommandError, match="there is no terminal to ask on"):
        call("queue_forget", "--queue", "emails")
    assert FailedJob.objects.count() == 4


@pytest.mark.django_db
def test_named_jobs_are_audited_one_by_one_and_those_that_cannot_be_put_back_are_told() -> None:
    tell()
    FailedJob.objects.filter(job_id=to_id("b")).update(connection="gone")
    missing = uuid4()
    with pytest.raises(CommandError) as refused:
        call("queue_retry_failed", str(to_id("a")), str(to_id("b")), str(missing))
    assert f"{missing}: Not among the failed jobs." in str(refused.value)
    assert f"{to_id('b')}: " in str(refused.value)
    assert [job.job_id for job in stored()] == [to_id("a")]
    assert count_audited("job.retry_by_hand") == 1


@pytest.mark.django_db
def test_a_flush_is_audited() -> None:
    tell()
    assert json.loads(call("queue_flush", "--no-input", "--json")) == {"deleted_count": 4}
    assert count_audited("job.discard_by_hand") == 4


@pytest.mark.django_db
def test_what_is_pruned_is_what_failed_long_ago_whatever_became_of_it_and_it_is_audited() -> None:
    tell()
    fail("e", queue="reports", job_class="shop.ReportJob", exception="ValueError: no", age=HOUR * 25)
    FailedJob.objects.filter(job_id=to_id("d")).update(retried_at=timezone.now())
    assert [json.loads(call("queue_prune", "--json"))["failed_jobs"] for _ in range(2)] == [2, 0]
    assert set(FailedJob.objects.values_list("job_id", flat=True)) == to_ids("abc")
    assert audit.list_events().get().data["count"] == count_audited("job.discard_by_hand") == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.process
def test_a_terminal_shows_how_far_it_has_come_and_a_pipe_gets_nothing_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    tell()
    with terminal("queue_retry_failed", "--all", size=(120, 24)) as opened:
        assert opened.wait_end() == 0
        opened.wait_for("4 jobs were put back")
        opened.wait_for("Retrying")
    call("queue_flush", "--no-input")
    assert capfd.readouterr().err == ""

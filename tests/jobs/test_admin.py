"""Jobs in the admin."""

import json
from html import unescape
from typing import override
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import Model
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from jobs.batch import batch
from jobs.job import Job
from jobs.models import Batch, FailedJob, JobResult, QueuedJob, QueuePause
from jobs.queues import is_paused, pause_queue
from jobs.security import SecureJob
from jobs.services import record_heartbeat
from jobs.signals import queue_paused, queue_resumed
from permissions import audit
from permissions.models import AuditEvent
from tests.jobs.batch_jobs import StepJob
from tests.jobs.foreign_tasks import double
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import NOON, drain, heard, run_next
from tests.jobs.test_quarantine import NONSENSE, ON_POSTGRESQL, ON_SQLITE, UNHEARD_OF

pytestmark = pytest.mark.django_db
FAILED = "/admin/jobs/failedjob/"
BATCHES = "/admin/jobs/batch/"
PAUSES = "/admin/jobs/queuepause/"


@pytest.fixture
def superuser(client: Client) -> Client:
    user = get_user_model().objects.create_superuser(email="root@example.com", name="Root", password="x" * 20)
    client.force_login(user)
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    """Staff who may look at failed jobs and no more."""
    user = get_user_model().objects.create_user(email="v@example.com", name="V", password="x" * 20, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_failedjob"))
    client.force_login(user)
    return client


def _fail_one() -> FailedJob:
    job_id = HopelessJob.dispatch()
    run_next()
    return FailedJob.objects.get(job_id=job_id)


def _act(client: Client, action: str, *rows: Model, address: str = FAILED) -> str:
    response = client.post(address, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_the_list_shows_class_queue_tries_and_the_first_line_of_the_exception(superuser: Client) -> None:
    _fail_one()
    page = superuser.get(FAILED).content.decode()
    for text in ("tests.HopelessJob", "default", "the account is closed"):
        assert text in page


def test_selected_jobs_are_retried_and_the_others_stay(superuser: Client) -> None:
    first, second = _fail_one(), _fail_one()
    assert "1 failed job was put back" in _act(superuser, "retry_failed_jobs", first)
    assert QueuedJob.objects.get().job_id == first.job_id
    states = dict(FailedJob.objects.values_list("pk", "retried_at"))
    assert states[first.pk] is not None
    assert states[second.pk] is None


def test_a_job_that_was_put_back_is_shown_as_such_and_not_put_back_again(superuser: Client) -> None:
    failed = _fail_one()
    _act(superuser, "retry_failed_jobs", failed)
    assert "retrying" in superuser.get(FAILED).content.decode()
    assert "0 failed jobs were put back" in _act(superuser, "retry_failed_jobs", failed)
    assert QueuedJob.objects.count() == 1


def test_a_record_that_was_set_apart_is_shown(superuser: Client) -> None:
    NoteJob.dispatch("notes.txt", "x")
    QueuedJob.objects.update(payload="garbage")
    run_next()
    assert "not JSON" in superuser.get(FAILED, {"is_quarantined__exact": "1"}).content.decode()
    failed = FailedJob.objects.get()
    assert superuser.get(f"{FAILED}{failed.pk}/change/").status_code == 200


def test_selected_jobs_are_forgotten(superuser: Client) -> None:
    assert "1 failed job was forgotten" in _act(superuser, "forget_failed_jobs", _fail_one())
    assert not FailedJob.objects.exists()
    assert not QueuedJob.objects.exists()


def _fail_with_arguments() -> FailedJob:
    FailingJob.dispatch("", "told-argument")
    QueuedJob.objects.update(attempts=9)
    run_next()
    return FailedJob.objects.get()


def _open(client: Client) -> str:
    response = client.get(f"{FAILED}{FailedJob.objects.get().pk}/change/")
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_the_page_of_a_failed_job_shows_names_of_arguments_and_no_values(viewer: Client) -> None:
    _fail_with_arguments()
    page = _open(viewer)
    assert "path, text" in page
    assert "told-argument" not in page
    assert "signature" not in page
    assert not AuditEvent.objects.filter(event="job.payload_viewed").exists()


def test_who_may_sees_the_values_too_and_that_is_recorded(viewer: Client, django_user_model: type[User]) -> None:
    user = django_user_model.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_payload"))
    failed = _fail_with_arguments()
    page = _open(viewer)
    assert 'text = "told-argument"' in page
    assert "signature" not in page
    event = AuditEvent.objects.get(event="job.payload_viewed")
    assert (event.actor_id, event.subject_id) == (str(user.pk), str(failed.job_id))


class HeldCardJob(SecureJob):
    """Take a card, and tell it in an argument that is no secret."""

    def __init__(self, card: str, note: str) -> None:
        self.card = card
        self.note = note
        self.set_sensitive_fields(["card"])

    @override
    def handle(self) -> None:
        self.fail("no")


class HeldLetterJob(Job):
    """Take a letter that nobody may read."""

    encrypted = True

    def __init__(self, letter: str) -> None:
        self.letter = letter

    @override
    def handle(self) -> None:
        self.fail("no")


def test_what_is_sensitive_is_hidden_wherever_an_argument_tells_it(superuser: Client) -> None:
    HeldCardJob.dispatch("4111 1111", "for 4111 1111 only")
    run_next()
    page = _open(superuser)
    assert "card = ••••••" in page
    assert 'note = "for [redacted] only"' in page
    assert "4111 1" not in page
    assert "$sealed" not in page


def test_an_encrypted_job_shows_nothing(superuser: Client) -> None:
    HeldLetterJob.dispatch("dear-reader")
    run_next()
    sealed = json.loads(FailedJob.objects.get().payload)["arguments"]["$sealed"]
    page = _open(superuser)
    assert "••••••" in page
    assert "dear-reader" not in page
    assert sealed not in page


@pytest.mark.parametrize(
    "job_class", ["tests.HeldCardJob", "tests.HeldLetterJob", "tests.GoneJob", "", "x" * 200], ids=len
)
def test_a_record_that_is_not_signed_shows_no_value_of_a_class_with_secrets(job_class: str, superuser: Client) -> None:
    _fail_with_arguments()
    payload = json.dumps({"job_class": job_class, "arguments": {"card": "4111 1111", "note": "plain"}})
    FailedJob.objects.update(payload=payload, job_class=job_class)
    page = _open(superuser)
    assert "note = ••••••" in page
    assert "4111 1" not in page


HOSTILE_ARGUMENTS = {
    "markup": '{"text": "<script>alert(1)</script>", "<script>alert(2)</script>": 1}',
    "long": json.dumps({"text": "x" * 5000, "y" * 5000: 1}),
    "many": json.dumps({f"name{number}": "z" for number in range(2000)}),
    "deep": '{"text": ' + "[" * 900 + "]" * 900 + "}",
    "deeper": '{"text": ' + "[" * 90_000 + "]" * 90_000 + "}",
    "surrogate": r'{"text": "\ud800", "\ud800": "\udfff"}',
    "nul": r'{"text": "\u0000", "\u0000": 1}',
    "numbers": '{"text": NaN, "other": [Infinity, 1e999, -0.0]}',
    "huge number": '{"text": ' + "9" * 5000 + "}",
    "secrets by name": '{"text": {"password": "hunter2", "inner": [{"api_token": "hunter2"}]}, "secret": "hunter2"}',
    "sealed": '{"text": {"$sealed": 7, "more": "hunter2"}, "inner": [{"$sealed": "hunter2"}], "$sealed": "hunter2"}',
    "no object": '["hunter2"]',
    "nothing": "null",
}


@pytest.mark.parametrize("arguments", HOSTILE_ARGUMENTS.values(), ids=HOSTILE_ARGUMENTS)
def test_arguments_of_a_stranger_are_escaped_bounded_and_no_server_error(
    arguments: str, superuser: Client, viewer: Client
) -> None:
    _fail_with_arguments()
    empty = len(superuser.get(f"{FAILED}{FailedJob.objects.get().pk}/change/").content)
    FailedJob.objects.update(payload=f'{{"arguments": {arguments}}}')
    for client in (superuser, viewer):
        content = client.get(f"{FAILED}{FailedJob.objects.get().pk}/change/").content
        assert b"<script>alert" not in content
        assert b"hunter2" not in content
        assert len(content) < empty + 20_000


@pytest.mark.parametrize(
    "payload", ["", "\x01", "[]", "{", '"x"', '{"arguments": 1}', '{"arguments": {"a": 1}, "signature": []}']
)
def test_a_record_that_is_none_is_no_server_error(payload: str, superuser: Client) -> None:
    _fail_with_arguments()
    FailedJob.objects.update(payload=payload)
    _open(superuser)


def test_what_an_exception_says_is_escaped(superuser: Client) -> None:
    failed = _fail_one()
    FailedJob.objects.update(exception="<script>alert(1)</script>", traceback="<script>alert(2)</script>")
    for address in (FAILED, f"{FAILED}{failed.pk}/change/"):
        assert "<script>alert" not in superuser.get(address).content.decode()


def test_a_failed_job_cannot_be_added_changed_or_deleted_by_the_forms(superuser: Client) -> None:
    failed = _fail_one()
    assert superuser.get(f"{FAILED}add/").status_code == 403
    assert superuser.post(f"{FAILED}{failed.pk}/change/", {"queue": "x"}).status_code == 403
    assert superuser.post(f"{FAILED}{failed.pk}/delete/", {"post": "yes"}).status_code == 403


def test_who_may_only_look_can_neither_retry_nor_forget(viewer: Client) -> None:
    failed = _fail_one()
    assert viewer.get(FAILED).status_code == 200
    for action in ("retry_failed_jobs", "forget_failed_jobs", "delete_selected"):
        _act(viewer, action, failed)
    assert FailedJob.objects.exists()


@pytest.mark.parametrize(
    "address",
    [FAILED, BATCHES, PAUSES, "/admin/jobs/jobresult/", "/admin/jobs/queuedjob/", "/admin/jobs/workerheartbeat/"],
)
def test_strangers_are_sent_to_the_login(address: str, client: Client) -> None:
    assert client.get(address).status_code == 302


@pytest.mark.parametrize("query", ["?q=%00", "?q=no-uuid", "?queue=%00", "?p=x", "?failed_at__gte=x", "?o=9.x"])
def test_hostile_queries_are_no_server_error(query: str, superuser: Client) -> None:
    _fail_one()
    assert superuser.get(FAILED + query).status_code < 500


@pytest.mark.parametrize("key", ["_00", "nobody"])
def test_an_unknown_key_is_not_found(key: str, superuser: Client) -> None:
    for model in ("failedjob", "queuedjob", "workerheartbeat", "batch", "queuepause", "jobresult"):
        assert superuser.get(f"/admin/jobs/{model}/{key}/change/", follow=True).status_code in {200, 404}


def test_a_job_is_found_by_its_id_and_by_its_exception(superuser: Client) -> None:
    failed = _fail_one()
    for words in (str(failed.job_id), "account is closed"):
        assert "1 failed job" in superuser.get(FAILED, {"q": words}).content.decode()


def test_queued_jobs_are_shown_without_values(superuser: Client) -> None:
    NoteJob.dispatch("notes.txt", "secret-argument")
    row = QueuedJob.objects.get()
    for address in ("/admin/jobs/queuedjob/", f"/admin/jobs/queuedjob/{row.pk}/change/"):
        response = superuser.get(address)
        assert response.status_code == 200
        assert "secret-argument" not in response.content.decode()


@ON_SQLITE
@pytest.mark.parametrize(("assignment", "_field", "_has_unreadable_time"), NONSENSE)
def test_a_queued_job_of_nonsense_is_left_out_or_shown(
    assignment: str, _field: str, _has_unreadable_time: bool, superuser: Client
) -> None:
    bad, good = NoteJob.dispatch("notes.txt", "x"), NoteJob.dispatch("notes.txt", "y")
    keys = dict(QueuedJob.objects.values_list("job_id", "pk"))
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs SET {assignment} WHERE id = {keys[bad]}")  # noqa: S608 - written in a module
    page = superuser.get("/admin/jobs/queuedjob/").content.decode()
    assert f"/queuedjob/{keys[good]}/change/" in page
    assert ("for want of sense in their rows: 1." in page) == (f"/queuedjob/{keys[bad]}/change/" not in page)
    for query in ("?o=1.-2.3.4.5.6.7", "?queue=default", "?q=x"):
        assert superuser.get(f"/admin/jobs/queuedjob/{query}").status_code == 200
    assert superuser.get(f"/admin/jobs/queuedjob/{keys[bad]}/change/", follow=True).status_code == 200


@ON_POSTGRESQL
@pytest.mark.parametrize("value", UNHEARD_OF)
def test_a_queued_job_of_a_moment_that_nobody_has_heard_of_is_left_out(value: str, superuser: Client) -> None:
    NoteJob.dispatch("notes.txt", "x")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs SET available_at = %s::timestamptz", [value])
    assert "for want of sense in their rows: 1." in superuser.get("/admin/jobs/queuedjob/").content.decode()


def test_workers_are_shown(superuser: Client) -> None:
    record_heartbeat(name="w1", queues=["a"], started_at=NOON, now=NOON, alive_until=NOON, current_job_id=UUID(int=1))
    assert "w1" in superuser.get("/admin/jobs/workerheartbeat/").content.decode()
    assert superuser.get("/admin/jobs/workerheartbeat/w1/change/").status_code == 200


def test_the_list_takes_a_fixed_number_of_queries(
    superuser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        _fail_one()
    with django_assert_num_queries(8):
        superuser.get(FAILED)


# --- Batches


def _batch_that_failed() -> Batch:
    found = batch([StepJob("a"), StepJob("broken b"), StepJob("c")]).name("Album").allow_failures(3).dispatch()
    run_next()
    run_next()
    return Batch.objects.get(pk=found.id)


def test_a_batch_is_shown_with_its_counts_its_progress_and_what_failed(superuser: Client) -> None:
    row = _batch_that_failed()
    addresses = (BATCHES, f"{BATCHES}{row.pk}/change/")
    pages = [superuser.get(address).content.decode() for address in addresses]
    assert all(words in page for words in ("Album", "33 %", "open") for page in pages)
    failed = FailedJob.objects.get()
    assert f"{FAILED}{failed.pk}/change/" in pages[1]
    assert "ValueError: broken b" in pages[1]
    assert "signature" not in pages[1]


@pytest.mark.parametrize(("action", "words"), [("cancel_batches", "1 batch was"), ("retry_failed", "1 failed job was")])
def test_a_batch_is_cancelled_and_its_failed_jobs_are_put_back(action: str, words: str, superuser: Client) -> None:
    row = _batch_that_failed()
    assert words in _act(superuser, action, row, address=BATCHES)
    row.refresh_from_db()
    assert (row.cancelled_at is not None, FailedJob.objects.get().state) == {
        "cancel_batches": (True, "failed"),
        "retry_failed": (False, "retrying"),
    }[action]
    event = "job.cancel_batch_by_hand" if action == "cancel_batches" else "job.retry_by_hand"
    assert audit.list_events(event=event).get().data["about"]["batch_id"] == str(row.pk)
    assert "cancelled" in superuser.get(BATCHES).content.decode()


def test_who_may_only_look_at_batches_and_pauses_changes_none(viewer: Client, django_user_model: type[User]) -> None:
    names = ["view_batch", "view_queuepause", "view_jobresult"]
    django_user_model.objects.get().user_permissions.add(*Permission.objects.filter(codename__in=names))
    row = _batch_that_failed()
    pause_queue("notes")
    for action in ("cancel_batches", "retry_failed", "delete_selected"):
        _act(viewer, action, row, address=BATCHES)
    _act(viewer, "resume", QueuePause.objects.get(), address=PAUSES)
    row.refresh_from_db()
    assert (row.cancelled_at, FailedJob.objects.get().state, is_paused("notes")) == (None, "failed", True)
    assert viewer.post(f"{PAUSES}add/", {"queue": "emails"}).status_code == 403
    assert viewer.get("/admin/jobs/jobresult/").status_code == 200


# --- Queues that rest


def test_a_queue_is_paused_and_resumed_and_both_are_told(superuser: Client) -> None:
    with heard(queue_paused, queue_resumed) as facts:
        _pause(superuser, "notes", until_0="2100-01-01", until_1="12:00")
        assert is_paused("notes")
        assert "notes" in superuser.get(PAUSES).content.decode()
        assert "1 queue goes on" in _act(superuser, "resume", QueuePause.objects.get(), address=PAUSES)
    assert not is_paused("notes")
    assert [signal for signal, _facts in facts] == [queue_paused, queue_resumed]


def test_every_queue_is_paused_and_what_is_no_name_is_refused(superuser: Client) -> None:
    assert "All queues of database rest." in _pause(superuser, "*")
    assert is_paused("anything")
    for name in ("a,b", "x\x00", "x" * 101, ""):
        assert "errorlist" in _pause(superuser, name)
    assert "errorlist" in _pause(superuser, "notes", until_0="9999-99-99", until_1="12:00")
    assert "errorlist" in _pause(superuser, "notes", connection="sync")
    assert list(QueuePause.objects.values_list("queue", flat=True)) == ["*"]


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis")
@pytest.mark.django_db(transaction=True)
def test_queues_of_another_connection_are_shown_paused_and_resumed(
    superuser: Client, viewer: Client, django_user_model: type[User]
) -> None:
    superuser.force_login(django_user_model.objects.get(email="root@example.com"))
    assert "The queue notes of redis rests." in _pause(superuser, "notes", connection="redis")
    assert is_paused("notes", connection="redis")
    assert not QueuePause.objects.exists()
    assert "notes" in superuser.get(PAUSES).content.decode()
    resumed = {"resume_connection": "redis", "resume_queue": "notes"}
    page = superuser.post(PAUSES, resumed, follow=True).content.decode()
    assert "1 queue goes on in redis." in page
    assert not is_paused("notes", connection="redis")
    assert _events() == ["queue.paused", "queue.resumed"]
    assert not LogEntry.objects.exists()
    assert superuser.post(PAUSES, {**resumed, "resume_connection": "nowhere"}).status_code == 403
    user = django_user_model.objects.get(email="v@example.com")
    user.user_permissions.add(Permission.objects.get(codename="view_queuepause"))
    superuser.force_login(user)
    assert superuser.post(PAUSES, resumed).status_code == 403


def test_pauses_and_their_end_are_in_both_logs(superuser: Client) -> None:
    _pause(superuser, "notes")
    _act(superuser, "resume", QueuePause.objects.get(), address=PAUSES)
    entries = LogEntry.objects.order_by("pk")
    assert [(entry.object_repr, entry.action_flag) for entry in entries] == [("notes", ADDITION), ("notes", DELETION)]
    assert _events() == ["queue.paused", "queue.resumed"]
    paused = AuditEvent.objects.get(event="queue.paused")
    assert (paused.actor_label, paused.subject_id) == ("root@example.com", "notes")
    assert paused.data["connection"] == "database"


def test_a_pause_that_has_run_out_is_no_hindrance(superuser: Client) -> None:
    QueuePause.objects.create(queue="notes", until=NOON)
    assert "The queue notes of database rests." in _pause(superuser, "notes")
    assert is_paused("notes")
    assert "The queue notes of database rests." in _pause(superuser, "notes", until_0="2100-01-01", until_1="12:00")


def _with_failover(settings: Settings) -> None:
    """Let jobs go to a Redis that nobody serves, else to the database."""
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "nobody": {"URL": "redis://127.0.0.1:1/0"}}
    redis = {"DRIVER": "jobs.drivers.redis.RedisDriver", "RQ_QUEUE": "nobody"}
    failover = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["nobody", "database"]}
    connections = {**settings.JOBS["CONNECTIONS"], "nobody": redis, "failover": failover}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "failover"}


def test_a_queue_of_any_name_is_paused_where_the_house_has_its_jobs(superuser: Client, settings: Settings) -> None:
    _with_failover(settings)
    assert '<option value="failover" selected>' in superuser.get(f"{PAUSES}add/").content.decode()
    page = _pause(superuser, "items", connection="failover")
    for words in ("The queue items of failover rests.", "nobody did not answer", "It does not answer."):
        assert words in page
    assert list(QueuePause.objects.values_list("queue", flat=True)) == ["items"]
    assert 'name="resume_queue" value="items"' in page
    resumed = {"resume_connection": "failover", "resume_queue": "items"}
    page = superuser.post(PAUSES, resumed, follow=True).content.decode()
    assert "1 queue goes on in failover." in page
    assert not QueuePause.objects.exists()
    assert _events() == ["queue.paused", "queue.resumed"]
    assert LogEntry.objects.count() == 2


def test_where_the_connection_does_not_answer_nothing_is_paused(superuser: Client, settings: Settings) -> None:
    _with_failover(settings)
    assert "nobody does not answer; nothing rests." in _pause(superuser, "notes", connection="nobody")
    resumed = {"resume_connection": "nobody", "resume_queue": "notes"}
    assert "nobody does not answer." in superuser.post(PAUSES, resumed, follow=True).content.decode()
    assert _events() == []
    assert not LogEntry.objects.exists()


def _pause(client: Client, queue: str, *, connection: str = "database", until_0: str = "", until_1: str = "") -> str:
    values = {"connection": connection, "queue": queue, "until_0": until_0, "until_1": until_1}
    response = client.post(f"{PAUSES}add/", values, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


def _events() -> list[str]:
    events = AuditEvent.objects.filter(event__startswith="queue.").order_by("pk")
    return list(events.values_list("event", flat=True))


# --- Results of tasks


def test_a_result_is_shown_without_arguments_and_can_not_be_changed(superuser: Client) -> None:
    result = double.enqueue(21)
    drain()
    row = JobResult.objects.get(job_id=result.id)
    JobResult.objects.update(arguments='{"args": ["secret-argument"], "kwargs": {}}')
    address = f"/admin/jobs/jobresult/{row.pk}/change/"
    page = superuser.get(address).content.decode()
    assert "SUCCESSFUL" in page
    assert "42" in page
    assert "secret-argument" not in page
    assert superuser.post(address, {"status": "READY"}).status_code == 403


@pytest.mark.parametrize("errors", ["x", '[["ValueError", "<b>tell</b>"]]', "[1]"])
def test_what_a_task_raised_is_escaped_and_nonsense_is_no_server_error(errors: str, superuser: Client) -> None:
    double.enqueue(21)
    JobResult.objects.update(errors=errors)
    page = superuser.get(f"/admin/jobs/jobresult/{JobResult.objects.get().pk}/change/")
    assert page.status_code == 200
    assert "<b>tell" not in page.content.decode()

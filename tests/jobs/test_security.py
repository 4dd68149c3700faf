"""Secure jobs: what they are given stays secret, whoever may not is refused, and a changed record never runs."""

import json
import logging
import reprlib
import time
import traceback
from collections.abc import Callable
from io import StringIO
from typing import ClassVar, override
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Permission
from django.core.management import call_command
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs

from accounts.models import User
from jobs.batch import BatchableJob, batch
from jobs.chain import chain
from jobs.exceptions import JobArgumentError, JobDefinitionError, JobRefusedError
from jobs.job import Job, PendingDispatch
from jobs.middleware import WithoutOverlapping
from jobs.models import FailedJob, Slot
from jobs.redaction import redact
from jobs.security import HIDDEN, SecureJob, describe_arguments
from jobs.services import retry_failed_job
from jobs.worker.runner import Failed, Processed, Quarantined
from permissions import gate, scope
from permissions.models import AuditEvent
from project.current_request import bind_request
from project.logging import configure_logging
from tests.articles.models import Team
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import claim_one, drain, run_next, soon, stored, stored_one
from tests.jobs.tampering import edit_record, write_store

CARD = "4111 1111 '1111' 1111"
#: Holds ``<4>``, which nothing in hex or base64 does.
MARK = "wörd <4> 'of' mouth"
RIGHT = "jobs.change_failedjob"
ran: list[str] = []


class PayJob(SecureJob):
    """Take a card, go wrong in a way of the test's choosing, or note that it ran."""

    tries = 1
    error: ClassVar[Callable[["PayJob"], Exception] | None] = None

    def __init__(self, order: int, card: str, pin: int = 77, user: User | None = None) -> None:
        self.order, self.card, self.pin, self.user = order, card, pin, user
        self.set_sensitive_fields(["card", "pin", "user"])

    @override
    def handle(self) -> None:
        if PayJob.error is not None:
            raise PayJob.error(self)
        ran.append(self.card)


class BrokenJob(SecureJob):
    """Tell what it was given where it can't be built."""

    def __init__(self, card: str) -> None:
        self.set_sensitive_fields(["card"])
        if BrokenJob.is_broken:
            message = f"bad card {card!r}"
            raise ValueError(message)

    is_broken: ClassVar[bool] = False

    @override
    def handle(self) -> None:
        """Do nothing."""


class KeyedJob(SecureJob):
    """Use what is secret as a key of everything."""

    unique_for = 60

    def __init__(self, card: str) -> None:
        self.card = card
        self.set_sensitive_fields(["card"])

    @override
    def unique_key(self) -> str:
        return self.card

    @override
    def middleware(self) -> list[WithoutOverlapping]:
        return [WithoutOverlapping(self.card)]

    @override
    def handle(self) -> None:
        if Slot.objects.exists():
            ran.extend(Slot.objects.values_list("key", flat=True))


class MisnamedJob(SecureJob):
    """Name what isn't there."""

    def __init__(self, card: str) -> None:
        self.set_sensitive_fields(["cart"])

    @override
    def handle(self) -> None:
        """Do nothing."""


class GuardedJob(SecureJob, BatchableJob):
    """Need a right."""

    tries = 3

    def __init__(self, text: str = "x") -> None:
        self.text = text
        self.set_required_permissions([RIGHT])

    @override
    def handle(self) -> None:
        ran.append(self.text)


class PlainJob(SecureJob):
    """Say nothing itself of secrets and rights; go wrong with what it was given."""

    tries = 1

    def __init__(self, card: str) -> None:
        self.card = card

    @override
    def handle(self) -> None:
        ran.append("plain")
        raise ValueError(self.card)


class FlakyJob(GuardedJob):
    """Go wrong each time."""

    backoff = 0

    @override
    def handle(self) -> None:
        ran.append(self.text)
        raise ValueError("no")


@pytest.fixture(autouse=True)
def forget() -> None:
    ran.clear()
    PayJob.error, BrokenJob.is_broken = None, False


@pytest.fixture
def clerk(db: None) -> User:
    """Somebody who may."""
    user = get_user_model().objects.create_user(email="clerk@example.com", name="C", password="x" * 20)
    user.user_permissions.add(Permission.objects.get(codename="change_failedjob"))
    return user


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody who may not."""
    return get_user_model().objects.create_user(email="stranger@example.com", name="S", password="x" * 20)


def _events(*names: str) -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(event__in=names).order_by("id")
    return [(event.event, event.actor_id) for event in events]


# --- At rest


@pytest.mark.usefixtures("job_connection")
def test_sensitive_arguments_are_stored_encrypted_and_the_job_gets_them_back() -> None:
    PayJob.dispatch(5, MARK)
    payload = json.loads(stored_one().payload)
    assert "<4>" not in str(payload)
    assert payload["arguments"]["order"] == 5
    assert [list(payload["arguments"][name]) for name in ("card", "pin")] == [["$sealed"]] * 2
    run_next()
    assert ran == [MARK]


@pytest.mark.usefixtures("job_connection")
def test_a_link_of_a_chain_is_stored_encrypted_while_it_waits_for_its_turn(tmp_path: object) -> None:
    chain([NoteJob(f"{tmp_path}/n", "x"), PayJob(5, MARK)]).dispatch()
    assert "<4>" not in stored_one().payload
    drain()
    assert ran == [MARK]


@pytest.mark.usefixtures("job_connection")
def test_a_row_that_is_secret_is_no_tag_and_neither_is_a_secret_word(stranger: User) -> None:
    PayJob(5, MARK, user=stranger).with_tags("order", f"card {MARK}").dispatch()
    payload = stored_one().payload
    assert '"order"' in payload
    assert "<4>" not in payload
    assert "accounts.user" not in payload


@pytest.mark.usefixtures("job_connection")
def test_a_key_made_of_what_is_secret_is_stored_as_a_digest_and_works_all_the_same() -> None:
    KeyedJob.dispatch(MARK)
    KeyedJob.dispatch(MARK)
    assert "<4>" not in stored_one().payload
    assert "hidden:" in stored_one().payload
    run_next()
    assert "<4>" not in str(ran)
    KeyedJob.dispatch(MARK)
    assert len(stored()) == 1


@pytest.mark.usefixtures("job_connection")
def test_a_name_that_is_no_argument_is_an_error_at_dispatch() -> None:
    with pytest.raises(JobDefinitionError, match="MisnamedJob: set_sensitive_fields names no argument: cart"):
        MisnamedJob.dispatch("x")
    assert stored() == []


@pytest.mark.parametrize("names", ["card", [1], [""]])
def test_what_are_no_names_is_refused(names: list[str]) -> None:
    with pytest.raises(JobDefinitionError, match="list of names"):
        PayJob(1, "x").set_sensitive_fields(names)


@pytest.mark.usefixtures("job_connection")
def test_a_record_of_before_a_change_of_secrets_runs_and_its_values_open(settings: Settings) -> None:
    PayJob.dispatch(5, CARD)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]
    assert isinstance(run_next(), Processed)
    assert ran == [CARD]


@pytest.mark.usefixtures("job_connection")
def test_a_record_whose_secret_is_gone_is_quarantined(settings: Settings) -> None:
    PayJob.dispatch(5, CARD)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, []
    assert isinstance(run_next(), Quarantined)


@pytest.mark.usefixtures("job_connection")
def test_what_is_called_secret_only_before_dispatch_is_secret_at_the_worker_too() -> None:
    job = PlainJob(MARK)
    job.set_sensitive_fields(["card"])
    job.dispatch()
    run_next()
    failed = FailedJob.objects.get()
    assert ran == ["plain"]
    assert "<4>" not in failed.payload + failed.exception + failed.traceback


# --- In texts


class SignInJob(Job):
    """Quotes what it was given; no secure job."""

    tries = 1

    def __init__(self, url: str, login: dict[str, str]) -> None:
        self.url = url
        self.login = login

    @override
    def handle(self) -> None:
        message = f"{self.url} refused {self.login['name']} with {self.login['password']}"
        raise ValueError(message)


def test_texts_whose_names_say_that_they_are_secret_are_taken_out_of_exceptions_of_any_job(job_connection: str) -> None:
    SignInJob.dispatch("https://example.org", {"name": "ada", "password": "hunter2"})
    drain()
    failed = FailedJob.objects.get()
    assert failed.exception == "ValueError: https://example.org refused ada with [redacted]"
    assert "hunter2" not in failed.traceback


@pytest.mark.parametrize(
    "make",
    [
        lambda job: ValueError(f"card {job.card} pin {job.pin}"),
        lambda job: ValueError(f"{job.card!r} and {json.dumps({'card': job.card, 'pin': job.pin})}"),
        lambda job: ValueError({"card": [job.card], "pin": job.pin}),
        lambda job: ExceptionGroup("pin77", [KeyError(job.card), ValueError(f"x{job.pin}x")]),
    ],
    ids=["text", "repr and JSON", "inside", "group"],
)
@pytest.mark.usefixtures("job_connection")
def test_a_failed_job_shows_no_sensitive_value_anywhere(make: Callable[[PayJob], Exception], client: Client) -> None:
    PayJob.error = make
    with capture_logs() as entries:
        PayJob.dispatch(5, CARD)
        run_next()
    root = get_user_model().objects.create_superuser(email="root@example.com", name="R", password="x" * 20)
    client.force_login(root)
    failed = FailedJob.objects.get()
    out = StringIO()
    call_command("queue_failed", json=True, stdout=out)
    pages = [client.get(f"/admin/jobs/failedjob/{path}").content.decode() for path in ("", f"{failed.pk}/change/")]
    shown = [failed.exception, failed.traceback, str(failed.context), out.getvalue(), str(entries)]
    for text in (*shown, *pages):
        assert "4111 1" not in text
    assert "77" not in failed.exception + out.getvalue().partition('"exception"')[2].partition("\n")[0]
    assert "PayJob" in pages[1]
    assert "[redacted]" in failed.exception


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_can_not_be_built_shows_no_sensitive_value_either() -> None:
    BrokenJob.dispatch("hunter2!")
    BrokenJob.is_broken = True
    assert isinstance(run_next(), Failed)
    failed = FailedJob.objects.get()
    assert failed.exception == "ValueError: bad card [redacted]"
    assert "hunter2" not in failed.exception + failed.traceback


@pytest.mark.usefixtures("job_connection")
def test_what_a_batch_is_told_of_a_failure_holds_no_sensitive_value() -> None:
    PayJob.error = lambda job: ValueError(job.card)
    chain([PayJob(5, MARK)]).catch(note_failure).dispatch()
    run_next()
    assert "<4>" not in stored_one().payload
    drain()
    assert ran == ["[redacted]"]


def note_failure(failure: object) -> None:
    ran.append(failure.message)  # type: ignore[attr-defined] # a Failure


@pytest.mark.usefixtures("job_connection", "own_logging")
@pytest.mark.parametrize("style", ["json", "text"])
def test_what_a_library_logs_while_the_job_runs_holds_no_sensitive_value(
    capsys: pytest.CaptureFixture[str], style: str
) -> None:
    def complain(job: PayJob) -> Exception:
        logging.getLogger("a.library").warning("paying with %s", job.card, extra={"with": [job.card], "why": "x"})
        logging.getLogger("a.library").error("it went wrong", exc_info=LookupError(job.card))
        return ValueError("no")

    PayJob.error = complain
    configure_logging(level="INFO", style=style)  # type: ignore[arg-type] # one of two
    PayJob.dispatch(5, CARD)
    run_next()
    logging.getLogger("a.library").warning("4111 again")
    said = capsys.readouterr().err
    assert "paying with [redacted]" in said
    assert "LookupError" in said
    assert "why" in said
    assert said.count("4111") == 1  # that after the job


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("ValueError: pin 7 is wrong", [7], "ValueError: [redacted]"),
        ("a.b.ValueError: pin7", ["7"], "a.b.ValueError: [redacted]"),
        ("7: wrong", ["7"], "[redacted]"),
        (
            '  File "x.py", line 77, in f\n    pay(7, x77)',
            [7],
            '  File "x.py", line 77, in f\n    pay([redacted], x77)',
        ),
        ("secret1secret", ["secret", "secret1"], "[redacted][redacted]"),
        ("is True", [True], "is [redacted]"),
        ("nothing here", [None, "", []], "nothing here"),
        ("user%40example.com", ["user@example.com"], "[redacted]"),
        ("a&lt;b&gt;c", ["a<b>c"], "[redacted]"),
        ("gr\\u00fcn \\xfc", ["grün"], "[redacted] \\xfc"),
        ("key alice@x.org", [{"alice@x.org": 1}], "key [redacted]"),
        ("'line\\none'", ["line\none"], "[redacted]"),
    ],
)
def test_values_are_found_however_a_text_writes_them(text: str, values: list[object], expected: str) -> None:
    assert redact(text, values) == expected


PEM = "-----BEGIN KEY-----\nMIIEvgIBADANBgkq\n  hkiG9w0BAQEFAASC'\r\n\nü==\n-----END KEY-----\n"
LONG = "".join(f"{number:03}é" for number in range(100))


def _quote(error: Exception) -> str:
    return "".join(traceback.format_exception(ExceptionGroup("several", [error, ExceptionGroup("more", [error])])))


@pytest.mark.parametrize("wrap", [str, repr, ascii, json.dumps, lambda text: f"{text.encode()!r}"], ids=range(5))
@pytest.mark.parametrize("again", [str, repr, json.dumps], ids=range(3))
def test_no_line_of_a_value_of_several_lines_is_left(wrap: Callable[[str], str], again: Callable[[str], str]) -> None:
    text = _quote(ValueError(again(wrap(f"bad key: {PEM}"))))
    assert text != (redacted := redact(text, [PEM]))
    for part in ("KEY", "MIIEvg", "hkiG9w", "AASC", "ü", "==", "xfc", "xc3", "u00fc"):
        assert part not in redacted
    assert "ValueError: " in redacted


def test_a_line_alone_is_found_and_lines_too_short_to_be_told_from_words_only_in_their_place() -> None:
    assert redact("read MIIEvgIBADANBgkq, == 4", [PEM]) == "read [redacted], == 4"
    assert "12" not in redact(_quote(ValueError("12\n34\nab")), ["12\n34\nab"]).partition("ValueError")[2]


@pytest.mark.parametrize("cut", [16, 40, 200, 399])
@pytest.mark.parametrize("wrap", [str, repr, ascii, lambda text: f"{text.encode()!r}"], ids=range(4))
def test_a_value_of_which_a_text_shows_a_part_is_found(cut: int, wrap: Callable[[str], str]) -> None:
    said = wrap(LONG)
    for text in (f"x {said[: cut + 2]}... y", f"x ...{said[-cut - 2 :]} y", f"{said[: cut + 2]}...{said[-cut - 2 :]}"):
        redacted = redact(text, [LONG])
        assert "00" not in redacted
        assert "98" not in redacted
        assert "[redacted]" in redacted


def test_what_python_quotes_of_a_long_value_is_not_left() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(LONG)
    assert redact(str(caught.value), [LONG]) == "invalid literal for int() with base 10: [redacted]"
    assert redact(f"got {reprlib.repr(LONG)}", [LONG]) == "got [redacted]...[redacted]"


def test_words_that_a_long_value_begins_with_stay_where_they_stand_for_themselves() -> None:
    assert redact("the postgres://db is away", ["postgres://u:secret@host/db"]) == "the postgres://db is away"


def test_redaction_of_much_takes_no_time() -> None:
    values = ["\n".join(f"line {number} of a long value" for number in range(1000)), "a" * 50_000, " \n" * 20_000 + "b"]
    text = "a" * 49_999 + " \n" * 20_000 + values[0][5:]
    started = time.process_time()
    redact(text, values)
    assert time.process_time() - started < 2


# --- For people


class NestJob(Job):
    """Take secrets that only their names give away."""

    def __init__(self, profile: dict[str, object]) -> None:
        self.profile = profile

    @override
    def handle(self) -> None:
        """Do nothing."""


@pytest.mark.usefixtures("job_connection")
def test_what_a_name_calls_secret_is_hidden_at_any_depth_and_the_rest_is_shown() -> None:
    NestJob.dispatch({"user": "ann", "password": "hunter2", "inner": [{"api_token": "hunter3", "size": 7}]})
    job = stored_one()
    assert json.loads(describe_arguments(job.payload, job_class=job.job_class)["profile"]) == {
        "user": "ann",
        "password": HIDDEN,
        "inner": [{"api_token": HIDDEN, "size": 7}],
    }


# --- Who may


@pytest.mark.usefixtures("job_connection")
def test_a_user_with_the_permission_has_the_job_run_and_the_log_tells_both(clerk: User) -> None:
    job_id = GuardedJob().on_behalf_of(clerk).dispatch()
    assert isinstance(run_next(), Processed)
    assert ran == ["x"]
    assert _events("job.dispatched", "job.started") == [
        ("job.dispatched", str(clerk.pk)),
        ("job.started", str(clerk.pk)),
    ]
    assert {event.subject_id for event in AuditEvent.objects.filter(event__startswith="job.")} == {str(job_id)}


@pytest.mark.parametrize("connection", ["", "sync"])
def test_the_log_tells_of_a_link_of_a_chain_when_its_turn_has_come(
    clerk: User, job_connection: str, connection: str
) -> None:
    first, second = (GuardedJob(name).on_behalf_of(clerk) for name in ("first", "second"))
    chain([first, second.on_connection(connection or job_connection)]).dispatch()
    assert len(_events("job.dispatched")) == 1
    drain()
    assert ran == ["first", "second"]
    assert _events("job.dispatched") == [("job.dispatched", str(clerk.pk))] * 2


@pytest.mark.usefixtures("job_connection")
def test_a_user_without_the_permission_is_refused_at_dispatch_and_that_is_logged(stranger: User) -> None:
    with pytest.raises(JobRefusedError, match="permissions are lacking"):
        GuardedJob().on_behalf_of(stranger).dispatch()
    assert stored() == []
    assert _events("job.refused") == [("job.refused", str(stranger.pk))]
    assert AuditEvent.objects.get(event="job.refused").data["lacking"] == [RIGHT]


@pytest.mark.parametrize("send", [GuardedJob.dispatch, GuardedJob.dispatch_now])
@pytest.mark.usefixtures("job_connection")
def test_without_anybody_the_job_is_refused(send: Callable[[], object]) -> None:
    with pytest.raises(JobRefusedError, match="no acting user"):
        send()
    with pytest.raises(JobRefusedError, match="no acting user"):
        GuardedJob().on_behalf_of(AnonymousUser()).dispatch()
    assert (stored(), ran) == ([], [])


@pytest.mark.usefixtures("job_connection")
def test_the_user_of_the_current_request_acts_where_nobody_was_named(clerk: User, stranger: User) -> None:
    request = RequestFactory().post("/")
    request.user = clerk
    with bind_request(request):
        GuardedJob.dispatch()
        with pytest.raises(JobRefusedError):
            GuardedJob().on_behalf_of(stranger).dispatch()
    run_next()
    assert ran == ["x"]
    request.user = AnonymousUser()
    with bind_request(request), pytest.raises(JobRefusedError):
        GuardedJob.dispatch()


@pytest.mark.parametrize(
    "send",
    [
        lambda job, note: chain([note, job]).dispatch(),
        lambda job, _note: batch([[job]]).dispatch(),
        lambda job, note: chain([note]).catch(job).dispatch(),
        lambda job, note: note.chain([job]).dispatch(),
    ],
    ids=["chain", "batch", "callback", "link"],
)
@pytest.mark.usefixtures("job_connection")
def test_no_way_round_by_chains_batches_or_callbacks(
    send: Callable[[PendingDispatch, NoteJob], object], stranger: User, tmp_path: object
) -> None:
    job, note = GuardedJob().on_behalf_of(stranger), NoteJob(f"{tmp_path}/n", "x")
    with pytest.raises(JobRefusedError):
        send(job, note)
    assert stored() == []


def _take_right(user: User) -> None:
    user.user_permissions.clear()


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _delete(user: User) -> None:
    user.delete()


@pytest.mark.parametrize(
    ("change", "reason"), [(_take_right, "permissions are lacking"), (_deactivate, "inactive"), (_delete, "gone")]
)
@pytest.mark.usefixtures("job_connection")
def test_who_may_not_any_more_is_refused_at_run_for_good(
    change: Callable[[User], None], reason: str, clerk: User
) -> None:
    key = str(clerk.pk)
    GuardedJob().on_behalf_of(clerk).dispatch()
    change(clerk)
    assert isinstance(run_next(), Failed)
    assert (ran, stored()) == ([], [])
    failed = FailedJob.objects.get()
    assert reason in failed.exception
    assert (failed.attempts, failed.is_quarantined) == (1, False)
    assert _events("job.refused") == [("job.refused", key)]


@pytest.mark.usefixtures("job_connection")
def test_rights_are_asked_for_again_at_each_try(clerk: User) -> None:
    FlakyJob().on_behalf_of(clerk).dispatch()
    run_next()
    _take_right(clerk)
    assert isinstance(run_next(now=soon()), Failed)
    assert ran == ["x"]


@pytest.mark.usefixtures("job_connection")
def test_a_refused_job_runs_when_it_is_retried_after_the_right_was_given_back(clerk: User) -> None:
    job_id = GuardedJob().on_behalf_of(clerk).dispatch()
    _take_right(clerk)
    run_next()
    clerk.user_permissions.add(Permission.objects.get(codename="change_failedjob"))
    retry_failed_job(job_id=job_id)
    assert isinstance(run_next(), Processed)
    assert ran == ["x"]


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_requires_nothing_needs_nobody() -> None:
    PayJob.dispatch(5, CARD)
    run_next()
    assert ran == [CARD]


# --- In which team


@pytest.fixture
def teams(settings: Settings) -> tuple[Team, Team]:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    return Team.objects.create(name="north"), Team.objects.create(name="south")


@pytest.fixture
def northerner(teams: tuple[Team, Team], stranger: User) -> User:
    """Somebody who may in one team."""
    with scope.use_team(teams[0]):
        stranger.give_permission_to(RIGHT)
    return stranger


@pytest.mark.usefixtures("job_connection")
def test_what_a_user_may_in_one_team_holds_for_jobs_that_are_dispatched_there(
    northerner: User, teams: tuple[Team, Team]
) -> None:
    with scope.use_team(teams[0]):
        GuardedJob("north").on_behalf_of(northerner).dispatch()
    assert json.loads(stored_one().payload)["actor_scope"]["team"] == str(teams[0].pk)
    with scope.use_team(teams[1]):  # whatever team holds where it runs
        assert isinstance(run_next(), Processed)
    assert ran == ["north"]


@pytest.mark.parametrize("place", ["in the other team", "outside of teams"])
@pytest.mark.usefixtures("job_connection")
def test_what_a_user_may_in_one_team_is_refused_elsewhere(
    place: str, northerner: User, teams: tuple[Team, Team]
) -> None:
    with scope.use_team(teams[1] if place == "in the other team" else None), pytest.raises(JobRefusedError):
        GuardedJob().on_behalf_of(northerner).dispatch()
    assert stored() == []


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_is_sent_again_from_another_team_needs_the_right_there(
    northerner: User, teams: tuple[Team, Team]
) -> None:
    job = GuardedJob("north").on_behalf_of(northerner)
    with scope.use_team(teams[0]):
        job.dispatch()
    with scope.use_team(teams[1]), pytest.raises(JobRefusedError):
        job.dispatch()
    assert len(stored()) == 1


@pytest.mark.parametrize("loss", ["of the right", "of the team"])
@pytest.mark.usefixtures("job_connection")
def test_what_was_lost_in_the_team_of_dispatch_is_refused_at_run(
    loss: str, northerner: User, teams: tuple[Team, Team]
) -> None:
    with scope.use_team(teams[0]):
        GuardedJob().on_behalf_of(northerner).dispatch()
        if loss == "of the right":
            northerner.revoke_permission_to(RIGHT)
    if loss == "of the team":
        teams[0].delete()
    with scope.use_team(teams[1]):
        northerner.give_permission_to(RIGHT)
        assert isinstance(run_next(), Failed)
    assert ran == []
    assert "permissions are lacking" in FailedJob.objects.get().exception


@pytest.mark.usefixtures("job_connection")
def test_a_link_of_a_chain_counts_in_the_team_in_which_the_chain_was_dispatched(
    northerner: User, teams: tuple[Team, Team]
) -> None:
    with scope.use_team(teams[0]):
        chain([GuardedJob("first").on_behalf_of(northerner), GuardedJob("second").on_behalf_of(northerner)]).dispatch()
    drain()
    assert ran == ["first", "second"]


# --- Hostile hands


@pytest.mark.parametrize(
    "changes",
    [
        {"job_class": "tests.NoteJob"},
        {"job_id": str(uuid4())},
        {"queue": "other"},
        {"connection": "sync"},
        {"arguments": {"order": 6, "card": "x", "pin": 1, "user": None}},
        {"options": {"tries": 9}},
        {"priority": 9},
        {"delay_seconds": 9},
        {"timeout_seconds": 9},
        {"created_at": "2026-01-01T00:00:00+00:00"},
        {"tags": ["x"]},
        {"batch_id": str(uuid4())},
        {"chain": {"links": []}},
        {"unique": {"key": "k", "seconds": 1, "until": "end"}},
        {"debounce": {"key": "k", "seconds": 1, "max_wait": None}},
        {"actor_id": "1"},
        {"actor_scope": {"team": "1"}},
        {"attempts": 5},
        {"is_retry": True},
        {"version": 1},
        {"signature": "0" * 64},
        {"more": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.usefixtures("job_connection")
def test_a_record_with_any_field_changed_is_quarantined_and_the_worker_goes_on(
    changes: dict[str, object], tmp_path: object
) -> None:
    PayJob.dispatch(5, CARD)
    job_id = edit_record(**changes)
    tampered = stored_one().payload
    NoteJob.dispatch(f"{tmp_path}/n", "next")
    assert isinstance(run_next(), Quarantined)
    assert isinstance(run_next(), Processed)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.payload, failed.is_quarantined) == (job_id, tampered, True)
    assert (ran, stored()) == ([], [])
    assert _events("job.quarantined") == [("job.quarantined", "")]


@pytest.mark.parametrize(
    "values",
    [{"queue": "other"}, {"job_class": "tests.NoteJob"}, {"priority": 200}, {"job_id": uuid4()}, {"payload": "{}"}],
    ids=lambda values: next(iter(values)),
)
@pytest.mark.usefixtures("job_connection")
def test_a_record_found_in_another_place_is_quarantined_and_shown(values: dict[str, object], client: Client) -> None:
    write_store(PayJob.dispatch(5, CARD), **values)
    assert isinstance(run_next(), Quarantined)
    assert ran == []
    failed = FailedJob.objects.get()
    root = get_user_model().objects.create_superuser(email="root@example.com", name="R", password="x" * 20)
    client.force_login(root)
    page = client.get(f"/admin/jobs/failedjob/{failed.pk}/change/").content.decode()
    assert "PayloadError" in page
    assert "4111 1" not in page


@pytest.mark.usefixtures("job_connection")
def test_a_count_of_tries_that_was_set_back_is_found_out(clerk: User) -> None:
    job_id = FlakyJob().on_behalf_of(clerk).dispatch()
    run_next()
    run_next(now=soon())
    write_store(job_id, attempts=0)
    assert isinstance(run_next(now=soon()), Quarantined)
    assert len(ran) == 2


@pytest.mark.usefixtures("job_connection")
def test_a_count_of_tries_that_was_raised_to_the_end_is_quarantined_and_lets_nothing_run(clerk: User) -> None:
    write_store(FlakyJob().on_behalf_of(clerk).dispatch(), attempts=3)
    assert isinstance(run_next(), Quarantined)
    assert ran == []


@pytest.mark.usefixtures("job_connection")
def test_a_raised_count_lets_a_job_run_less_often_and_never_more(clerk: User) -> None:
    write_store(FlakyJob().on_behalf_of(clerk).dispatch(), attempts=1)
    drain(now=soon())
    assert len(ran) == 2
    assert FailedJob.objects.get().attempts == 3


@pytest.mark.usefixtures("job_connection")
def test_a_worker_that_dies_before_the_start_costs_a_try_and_not_the_job() -> None:
    PayJob(5, CARD).with_tries(2).dispatch()
    claim_one()
    assert isinstance(run_next(now=soon()), Processed)
    assert ran == [CARD]


@pytest.mark.usefixtures("job_connection")
def test_a_permission_that_is_required_only_before_dispatch_is_asked_for_at_the_worker_too(clerk: User) -> None:
    job = PlainJob(MARK)
    job.set_required_permissions([RIGHT])
    job.on_behalf_of(clerk).dispatch()
    clerk.user_permissions.clear()
    run_next()
    assert ran == []
    assert "refused" in FailedJob.objects.get().exception


@pytest.mark.usefixtures("job_connection")
def test_a_permission_for_an_object_is_asked_for_that_object_at_the_worker(clerk: User, stranger: User) -> None:
    job = PlainJob(MARK)
    job.set_required_permissions([RIGHT], obj=stranger)
    asked: list[object] = []

    @gate.before
    def allow(_user: object, _ability: str, obj: object) -> bool:
        asked.append(obj)
        return True

    try:
        job.on_behalf_of(clerk).dispatch()
        run_next()
    finally:
        gate.forget(allow)
    assert asked == [stranger, stranger]
    assert ran == ["plain"]


@pytest.mark.usefixtures("job_connection")
def test_an_object_of_permissions_that_can_not_travel_is_refused_by_name(clerk: User) -> None:
    job = PlainJob(MARK)
    job.set_required_permissions([RIGHT], obj=object())
    with pytest.raises(JobArgumentError, match="object of set_required_permissions"):
        job.on_behalf_of(clerk).dispatch()
    assert stored() == []

"""What is deleted by itself, and what is not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import Session, User
from accounts.services import sweep as sweep_accounts
from jobs.schedules import list_entries
from jobs.testing import JobsFake
from oauth.jobs import SweepOAuthJob
from oauth.models import (
    AccessToken,
    Application,
    ClientSecret,
    Consent,
    DeviceGrant,
    Grant,
    PersonalAccessToken,
    StoredRequest,
)
from oauth.services import RegisteredClient, sweep, sweep_aside, sweeping
from tests.accounts.racing import race
from tests.oauth.flow import Flow

pytestmark = pytest.mark.django_db
NOW: Final = datetime(2030, 1, 1, tzinfo=timezone.get_default_timezone())
DAY: Final = timedelta(days=1)
MOMENT: Final = timedelta(seconds=1)
#: Of 50 ids that are made this one makes for a sweep.
LUCKY: Final = UUID(int=50)
_numbers = count()


def swept(now: datetime) -> dict[str, int]:
    """Sweep all, and return what was deleted, of kinds of which anything was."""
    done = sweep(now=now)
    assert done.is_complete
    return {name: number for name, number in done.counts.items() if number}


@pytest.fixture
def application(confidential: RegisteredClient) -> Application:
    return confidential.application


def make_code(application: Application, user: User) -> None:
    Grant.objects.create(application=application, user=user, code=str(next(_numbers)), expires=NOW)


def make_device(application: Application, user: User) -> None:
    text = str(next(_numbers))
    DeviceGrant.objects.create(application=application, user=user, device_code=text, user_code=text, expires=NOW)


def make_request(application: Application, user: User) -> None:
    StoredRequest.objects.create(application=application, digest=str(next(_numbers)), parameters={}, expires_at=NOW)


def make_opaque_token(application: Application, user: User) -> None:
    AccessToken.objects.create(
        application=application, user=user, token_checksum=str(next(_numbers)), expires=NOW, scope="profile"
    )


def make_secret(application: Application, user: User) -> None:
    ClientSecret.objects.create(application=application, digest=str(next(_numbers)), expires_at=NOW)


def make_consent(application: Application, user: User) -> None:
    other = Application.objects.create(name=f"Client {next(_numbers)}")
    Consent.objects.create(application=other, user=user, expires_at=NOW)


def make_personal_token(application: Application, user: User) -> None:
    PersonalAccessToken.objects.create(user=user, name="Backup", digest=str(next(_numbers)), expires_at=NOW)


_MAKERS: Final[dict[str, tuple[Callable[[Application, User], None], timedelta]]] = {
    "codes": (make_code, DAY),
    "devices": (make_device, DAY),
    "requests": (make_request, timedelta(0)),
    "opaque_tokens": (make_opaque_token, timedelta(0)),
    "secrets": (make_secret, 30 * DAY),
    "consents": (make_consent, 90 * DAY),
    "personal_tokens": (make_personal_token, 30 * DAY),
}


@pytest.mark.parametrize("kind", _MAKERS)
def test_each_thing_goes_when_its_time_is_over_and_not_before(
    application: Application, person: User, kind: str
) -> None:
    make, kept = _MAKERS[kind]
    make(application, person)
    assert swept(NOW + kept - MOMENT) == {}
    assert swept(NOW + kept) == {kind: 1}
    assert swept(NOW + kept) == {}


def test_what_has_no_end_stays(application: Application, person: User) -> None:
    Consent.objects.create(application=application, user=person)
    PersonalAccessToken.objects.create(user=person, name="Backup", digest="a")
    assert swept(NOW + 100 * 365 * DAY) == {}
    assert ClientSecret.objects.get().expires_at is None


def test_a_personal_token_that_was_revoked_goes_too(person: User) -> None:
    PersonalAccessToken.objects.create(user=person, name="Backup", digest="a", revoked_at=NOW)
    assert swept(NOW + 30 * DAY - MOMENT) == {}
    assert swept(NOW + 30 * DAY) == {"personal_tokens": 1}


def test_a_used_code_is_known_for_a_day(flow: Flow) -> None:
    code = flow.get_code()
    tokens = flow.exchange(code).json()
    sweep(now=timezone.now() + DAY - timedelta(minutes=2))
    Grant.objects.update(consumed_at=timezone.now() - timedelta(minutes=5))
    assert flow.exchange(code).json()["error"] == "invalid_grant"
    assert flow.call_api(tokens["access_token"]) == 401


def test_a_sweep_ends_nothing_that_lives(web: Flow) -> None:
    tokens = web.get_tokens()
    sweep(now=timezone.now() + 2 * DAY)
    assert web.call_api(tokens["access_token"]) == 200
    assert web.refresh(tokens["refresh_token"]).status_code == 200
    assert "code=" in web.open()["Location"] or web.open().status_code == 200


@pytest.mark.compliance("Security", "B2", "devices are swept like all that has ended")
def test_nothing_grows_for_ever(flow: Flow, application: Application, person: User) -> None:
    """Whatever the app's tables hold goes in the end, but clients, and what has no end by somebody's will."""
    flow.get_tokens()
    Application.objects.update(access_token_format="opaque")
    flow.get_tokens()
    flow.get_code()
    for make, _ in _MAKERS.values():
        make(application, person)
    later = max(NOW, timezone.now()) + 1000 * DAY
    sweep_accounts(now=later)
    swept(later)
    left = {model.__name__ for model in _list_models() if model._default_manager.exists()}
    assert left == {"Application", "ClientSecret"}
    assert not Session.objects.filter(kind=Session.Kind.CLIENT).exists()


def _list_models() -> list[type[models.Model]]:
    return [
        model for model in Application._meta.apps.get_app_config("oauth").get_models() if model is not Application
    ] + [Application]


def test_every_table_is_swept_or_said_not_to_be() -> None:
    """A new table of the app must be thought of."""
    is_swept = {rows.model for rows in sweeping._list_over(NOW).values()} | {PersonalAccessToken}
    unswept = {model.__name__ for model in _list_models() if model not in is_swept}
    assert unswept == {"Application", "IDToken", "RefreshToken"}  # clients are kept; the others stay empty


def test_an_index_leads_to_all_that_is_over() -> None:
    for rows in sweeping._list_over(NOW).values():
        column = "expires" if _has_column(rows.model, "expires") else "expires_at"
        field = rows.model._meta.get_field(column)
        indexed = [index.fields[0] for index in rows.model._meta.indexes]
        assert getattr(field, "db_index", False) or column in indexed, rows.model


def _has_column(model: type[models.Model], name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


# Bounds


def test_a_sweep_ends_when_it_has_taken_too_long(
    application: Application, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "MAX_SWEPT", 2)
    for _ in range(5):
        make_code(application, person)
    done = sweep(now=NOW + DAY, longest=timedelta(0))
    assert (done.is_complete, done.counts["codes"], Grant.objects.count()) == (False, 2, 3)
    assert swept(NOW + DAY) == {"codes": 3}


def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(application: Application, person: User) -> None:
    numbers = []
    for rows in (1, 30):
        for make, _ in _MAKERS.values():
            for _ in range(rows):
                make(application, person)
        with CaptureQueriesContext(connection) as queries:
            swept(NOW + 100 * DAY)
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] <= 40


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_do_each_thing_once(application: Application, person: User) -> None:
    for _ in range(40):
        make_code(application, person)
        make_opaque_token(application, person)
    done = race(lambda: sweep(now=NOW + DAY), threads=4)
    assert sum(one.counts["opaque_tokens"] for one in done) >= 40
    assert (Grant.objects.count(), AccessToken.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_what_somebody_holds_is_left_for_the_next_sweep(
    application: Application, person: User, settings: Settings
) -> None:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        pytest.skip("one writer at a time")
    make_code(application, person)
    with transaction.atomic():
        Grant.objects.select_for_update().get()
        assert race(lambda: sweep(now=NOW + DAY).counts["codes"], threads=1) == [0]
    assert swept(NOW + DAY) == {"codes": 1}


# A little, now and then


def test_once_in_fifty_times_a_little_is_swept(
    application: Application, person: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        for number in range(200):
            sweep_aside(made=UUID(int=number), now=NOW)
    assert len(callbacks) == 4


def test_a_little_is_a_hundred_rows_of_all_kinds(
    application: Application, person: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    for _ in range(60):
        make_code(application, person)
        make_opaque_token(application, person)
    with django_capture_on_commit_callbacks(execute=True):
        sweep_aside(made=LUCKY, now=NOW + DAY)
        assert Grant.objects.count() == 60  # nothing happens within the transaction
    assert Grant.objects.count() + AccessToken.objects.count() == 20


def test_an_exchange_sweeps_a_little_after_its_own_transaction(
    flow: Flow,
    application: Application,
    person: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    make_opaque_token(application, person)
    AccessToken.objects.update(expires=timezone.now() - MOMENT)
    code = flow.get_code()
    Grant.objects.update(session_id=LUCKY)
    with django_capture_on_commit_callbacks(execute=True):
        assert flow.exchange(code).status_code == 200
    assert not AccessToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_sweep_that_fails_fails_no_exchange(flow: Flow) -> None:
    def refuse(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if "expires" in sql and "LIMIT 100" in sql:
            message = "the sweep does not get through"
            raise RuntimeError(message)
        return execute(sql, *rest)

    code = flow.get_code()
    Grant.objects.update(session_id=LUCKY)
    with connection.execute_wrapper(refuse):
        assert flow.exchange(code).status_code == 200


def test_the_job_sweeps_each_hour(application: Application, person: User, jobs_fake: JobsFake) -> None:
    make_request(application, person)
    StoredRequest.objects.update(expires_at=timezone.now() - MOMENT)
    entries = {entry.job_class: entry.timing.interval for entry in list_entries()}
    assert entries["oauth.SweepOAuthJob"] == timedelta(hours=1)
    SweepOAuthJob().handle()
    assert not StoredRequest.objects.exists()
    jobs_fake.assert_nothing_dispatched()

"""Jobs whose arguments are stored encrypted."""

import json
from typing import ClassVar, override

import pytest
from django.contrib.auth.models import Group
from pytest_django import Settings

from jobs.batch import batch
from jobs.encryption import is_sealed, seal, unseal
from jobs.exceptions import PayloadError
from jobs.job import Job, build_job
from jobs.models import FailedJob
from jobs.payload import read_payload
from jobs.services import retry_failed_job
from jobs.worker.runner import Processed
from tests.jobs.batch_jobs import StepJob
from tests.jobs.steps import drain, run_next, soon, stored, stored_one


class WhisperJob(Job):
    """Knows a secret."""

    encrypted = True
    tries = 1
    heard: ClassVar[list[str]] = []

    def __init__(self, secret: str, *, is_heard: bool = True) -> None:
        self.secret = secret
        self.is_heard = is_heard

    @override
    def handle(self) -> None:
        if not self.is_heard:
            raise ValueError
        self.heard.append(self.secret)


def test_what_is_stored_shows_neither_names_nor_values_of_arguments(job_connection: str) -> None:
    WhisperJob.dispatch("swordfish")
    payload = stored_one().payload
    assert "swordfish" not in payload
    assert "is_heard" not in payload
    assert is_sealed(json.loads(payload)["arguments"])
    assert json.loads(payload)["job_class"] == "tests.WhisperJob"


class AloneWhisperJob(WhisperJob):
    unique_for = 60

    @override
    def unique_key(self) -> str:
        return self.secret


class LastWhisperJob(WhisperJob):
    debounce_for = 1

    @override
    def debounce_key(self) -> str:
        return self.secret


@pytest.mark.parametrize(("job_class", "count"), [(AloneWhisperJob, 2), (LastWhisperJob, 3)])
def test_the_key_of_what_it_is_about_is_a_digest_that_tells_two_apart(
    job_connection: str, job_class: type[WhisperJob], count: int
) -> None:
    for secret in ("swordfish", "swordfish", "herring"):
        job_class(secret).dispatch()
    payloads = [job.payload for job in stored()]
    assert len(payloads) == count  # of debounced ones the last runs
    assert not [text for text in payloads if "swordfish" in text or "herring" in text]


class TellingWhisperJob(Job):
    encrypted = True

    def __init__(self, group: Group) -> None:
        self.group = group

    @override
    def handle(self) -> None: ...


def test_no_tag_tells_which_rows_it_was_given(job_connection: str) -> None:
    TellingWhisperJob(Group.objects.create(name="readers")).with_tags("mine").dispatch()
    assert json.loads(stored_one().payload)["tags"] == ["mine"]


def test_the_worker_opens_it(job_connection: str) -> None:
    WhisperJob.heard.clear()
    WhisperJob.dispatch("swordfish")
    assert isinstance(run_next(now=soon()), Processed)
    assert WhisperJob.heard == ["swordfish"]


def test_what_is_chained_to_a_callback_is_opened_each_time(job_connection: str) -> None:
    WhisperJob.heard.clear()
    told = WhisperJob("first").chain([WhisperJob("second")])
    batch([StepJob("a"), StepJob("b")]).progress(told).dispatch()
    drain(now=soon())
    assert sorted(WhisperJob.heard) == ["first", "first", "second", "second"]


def test_a_failed_job_is_kept_and_retried_encrypted(job_connection: str) -> None:
    job_id = WhisperJob.dispatch("swordfish", is_heard=False)
    run_next(now=soon())
    assert "swordfish" not in FailedJob.objects.get().payload
    retry_failed_job(job_id=job_id)
    assert "swordfish" not in stored_one().payload


def test_a_job_sealed_with_an_earlier_key_is_read_while_that_is_a_fallback(
    job_connection: str, settings: Settings
) -> None:
    WhisperJob.dispatch("swordfish")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-" * 4
    assert build_job(WhisperJob, read_payload(stored_one().payload)).get_arguments()["secret"] == "swordfish"


def test_a_value_sealed_with_a_key_that_is_gone_is_refused(settings: Settings) -> None:
    sealed = seal("swordfish", about="a")
    settings.SECRET_KEY = "another-secret-" * 4
    with pytest.raises(PayloadError, match="key that is gone"):
        unseal(sealed, about="a")


def test_a_sealed_value_opens_for_its_own_job_alone() -> None:
    with pytest.raises(PayloadError, match="changed, or belongs elsewhere"):
        unseal(seal("swordfish", about="a"), about="b")


def test_the_same_value_is_never_sealed_the_same_way() -> None:
    assert seal("swordfish", about="a") != seal("swordfish", about="a")

"""The signed record."""

import hashlib
import hmac
import json
from datetime import UTC
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobs.exceptions import JobArgumentError, PayloadError
from jobs.payload import (
    Record,
    decode_payload,
    encode_payload,
    get_argument_names,
    read_document,
    read_payload,
    sign_document,
)
from project.crypto import derive_keys

JOB_ID = UUID("00000000-0000-4000-8000-000000000001")
PLACE: dict[str, Any] = {"job_id": JOB_ID, "queue": "mail", "job_class": "shop.SendJob"}  # Any: keyword arguments


def _encode(**arguments: object) -> str:
    return encode_payload(Record(**PLACE, connection="database", arguments=arguments))


def test_a_record_read_where_it_was_written_gives_its_arguments() -> None:
    assert decode_payload(_encode(a=1, b=["x", None]), **PLACE).arguments == {"a": 1, "b": ["x", None]}


_moments = st.datetimes(timezones=st.just(UTC))
_records = st.builds(
    Record,
    job_id=st.uuids(),
    job_class=st.text(),
    queue=st.text(),
    connection=st.text(),
    arguments=st.dictionaries(st.text(), st.integers() | st.text()),
    options=st.dictionaries(st.sampled_from(["tries", "timeout"]), st.integers()),
    priority=st.integers(0, 255),
    delay_seconds=st.integers(0, 99),
    delay_until=st.none() | _moments,
    timeout_seconds=st.integers(0, 99),
    created_at=st.none() | _moments,
    tags=st.lists(st.text()).map(tuple),
    batch_id=st.none() | st.uuids(),
    chain=st.none() | st.just({"links": []}),
    unique=st.none() | st.just({"key": "a", "seconds": 5, "until": "end"}),
    debounce=st.none() | st.just({"key": "a", "seconds": 5, "max_wait": None}),
    actor_id=st.text(),
    attempts=st.none() | st.integers(0),
    is_retry=st.booleans(),
)


@given(_records)
def test_whatever_a_record_says_comes_back(record: Record) -> None:
    assert read_payload(encode_payload(record)) == record


def test_a_record_is_plain_ascii_json_whatever_the_arguments_hold() -> None:
    text = _encode(a="nul \x00 surrogate \ud800 euro €")
    assert text.isascii()
    assert "\x00" not in text
    assert decode_payload(text, **PLACE).arguments["a"] == "nul \x00 surrogate \ud800 euro €"


@pytest.mark.parametrize("change", [{"job_id": uuid4()}, {"queue": "other"}, {"job_class": "shop.DropTablesJob"}])
def test_a_record_found_in_another_place_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(PayloadError, match="not the one that was signed"):
        decode_payload(_encode(), **{**PLACE, **change})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("arguments", {"a": 2}),
        ("queue", "x"),
        ("version", 2),
        ("job_class", "os.system"),
        ("extra", 1),
        ("options", {"tries": 99}),
        ("priority", 9),
        ("attempts", 0),
        ("actor_id", "1"),
        ("chain", {"links": []}),
    ],
)
def test_a_changed_record_is_refused(field: str, value: object) -> None:
    record = json.loads(_encode(a=1)) | {field: value}
    with pytest.raises(PayloadError, match="signature"):
        decode_payload(json.dumps(record), **PLACE)


@pytest.mark.parametrize("signature", [None, 1, "", "00", "ü", "\ud800", ["x"]])
def test_a_record_with_a_wrong_signature_is_refused(signature: object) -> None:
    record = json.loads(_encode(a=1)) | {"signature": signature}
    with pytest.raises(PayloadError, match="signature"):
        decode_payload(json.dumps(record), **PLACE)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "null", "1", "{}", "[" * 200_000, "9" * 10_000, '{"a":1e999}', "\x80\x04"]
)
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(PayloadError):
        decode_payload(text, **PLACE)


@given(st.text())
def test_no_text_makes_reading_raise_anything_else(text: str) -> None:
    with pytest.raises(PayloadError):
        decode_payload(text, **PLACE)
    assert get_argument_names(text) == []


def test_a_record_signed_with_an_earlier_secret_is_read_while_that_is_a_fallback(settings: Settings) -> None:
    text = _encode(a=1)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-" * 4
    assert decode_payload(text, **PLACE).arguments == {"a": 1}


def test_a_record_signed_with_a_foreign_secret_is_refused(settings: Settings) -> None:
    text = _encode(a=1)
    settings.SECRET_KEY = "another-secret-" * 4
    with pytest.raises(PayloadError, match="signature"):
        decode_payload(text, **PLACE)


def test_a_record_over_the_limit_is_refused_with_both_figures(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "MAX_PAYLOAD_BYTES": 1000}
    with pytest.raises(JobArgumentError, match=r"take 1\d\d\d bytes, at most 1000"):
        _encode(a="x" * 1000)


def test_a_number_too_long_to_write_is_refused() -> None:
    with pytest.raises(JobArgumentError, match="can't be written"):
        _encode(a=10**5000)


def test_argument_names_are_read_without_the_values() -> None:
    assert get_argument_names(_encode(password="hunter2", to="x")) == ["password", "to"]


@pytest.mark.parametrize("change", [{"version": 1}, {"arguments": []}, {"queue": 5}, {"surplus": 1}, {"batch_id": 5}])
def test_a_signed_record_of_an_unknown_version_or_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(PayloadError):
        read_payload(_sign_anew(change))


@pytest.mark.parametrize("text", ["[]", '"record"', "5", "null"])
def test_a_record_within_another_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(PayloadError):
        Record.from_json(json.loads(text))


def _sign_anew(change: dict[str, object]) -> str:
    """Return a record that this house signed although it makes no sense."""
    values = json.loads(_encode(a=1)) | change
    del values["signature"]
    body = json.dumps(values, sort_keys=True, separators=(",", ":"))
    signature = hmac.new(derive_keys("job-payload")[0], body.encode(), hashlib.sha256).hexdigest()
    return json.dumps({**values, "signature": signature})


def test_a_document_is_read_where_it_was_signed_and_nowhere_else() -> None:
    text = sign_document({"calls": [1]}, about="batch:1")
    assert read_document(text, about="batch:1") == {"calls": [1]}
    for changed, place in ((text, "batch:2"), (text.replace("calls", "balls"), "batch:1"), ("{}", "batch:1")):
        with pytest.raises(PayloadError):
            read_document(changed, about=place)

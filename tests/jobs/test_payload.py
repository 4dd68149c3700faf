"""The signed record."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobs.exceptions import JobArgumentError, PayloadError
from jobs.payload import decode_payload, encode_payload, get_argument_names

JOB_ID = UUID("00000000-0000-4000-8000-000000000001")
PLACE: dict[str, Any] = {"job_id": JOB_ID, "queue": "mail", "job_class": "shop.SendJob"}  # Any: keyword arguments


def _encode(**arguments: object) -> str:
    return encode_payload(**PLACE, arguments=arguments)


def test_a_record_read_where_it_was_written_gives_its_arguments() -> None:
    assert decode_payload(_encode(a=1, b=["x", None]), **PLACE) == {"a": 1, "b": ["x", None]}


def test_a_record_is_plain_ascii_json_whatever_the_arguments_hold() -> None:
    text = _encode(a="nul \x00 surrogate \ud800 euro €")
    assert text.isascii()
    assert "\x00" not in text
    assert decode_payload(text, **PLACE)["a"] == "nul \x00 surrogate \ud800 euro €"


@pytest.mark.parametrize("change", [{"job_id": uuid4()}, {"queue": "other"}, {"job_class": "shop.DropTablesJob"}])
def test_a_record_found_in_another_place_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(PayloadError, match="not the one that was signed"):
        decode_payload(_encode(), **{**PLACE, **change})


@pytest.mark.parametrize(
    ("field", "value"),
    [("arguments", {"a": 2}), ("queue", "x"), ("version", 2), ("job_class", "os.system"), ("extra", 1)],
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
    assert decode_payload(text, **PLACE) == {"a": 1}


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

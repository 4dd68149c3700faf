"""Log lines."""

import json
import logging

import pytest
import structlog
from django.test import Client, RequestFactory
from django.urls import resolve

from project.logging import Description, configure_logging, escape_control_characters, is_secret_key, redact_secrets


def test_the_value_of_a_secret_key_is_redacted() -> None:
    event = redact_secrets(None, "info", {"event": "sign-in", "Password": "hunter2", "user": "ada"})
    assert event == {"event": "sign-in", "Password": "[redacted]", "user": "ada"}


@pytest.mark.parametrize("key", ["new_password", "refreshToken", "Set-Cookie", "client-secret", "CODE", "codeVerifier"])
def test_a_secret_key_is_known_however_it_is_spelt(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["event", "status_code", "token_family", "user_id", "scopes"])
def test_a_key_that_names_no_secret_is_left_alone(key: str) -> None:
    assert not is_secret_key(key)


def test_a_hostile_name_stays_on_one_line_and_gives_the_terminal_no_command() -> None:
    event = escape_control_characters(None, "info", {"event": "x", "name": "a\nb\x1b[2J\0"})
    assert event["name"] == "a\\nb\\x1b[2J\\x00"


@pytest.mark.usefixtures("own_logging")
def test_production_logs_are_json_with_the_bound_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="INFO", style="json")
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        logging.getLogger("some.library").warning("watch out", extra={"token": "t0ps3cret"})
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["event"], line["request_id"], line["token"]) == ("watch out", "abc", "[redacted]")


@pytest.mark.usefixtures("own_logging")
def test_what_the_code_within_binds_stands_before_what_it_is_said_to_work_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(level="INFO", style="json")
    described = Description(lambda: {"job_id": "1", "attempt": 1, "queue": "default"})
    with described, structlog.contextvars.bound_contextvars(attempt=2):
        logging.getLogger("some.library").warning("from a library", extra={"queue": "own"})
        structlog.get_logger("gatehouse.test").warning("from the house", queue="own")
    structlog.get_logger("gatehouse.test").warning("afterwards")
    *within, after = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["job_id"], line["attempt"], line["queue"]) for line in within] == [("1", 2, "own")] * 2
    assert not after.keys() & {"job_id", "attempt", "queue"}


@pytest.mark.usefixtures("own_logging")
def test_an_entry_that_cannot_be_written_is_not_told_as_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logging(level="INFO", style="json")
    handler = next(handler for handler in logging.root.handlers if isinstance(handler, logging.StreamHandler))
    monkeypatch.setattr(handler, "stream", None)
    logging.getLogger("some.library").warning("watch out", extra={"token": "t0ps3cret"})
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("own_logging")
def test_a_query_string_never_reaches_the_log_with_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="INFO", style="text")
    record = {"request": "<WSGIRequest: GET '/oauth/authorize?code=s3cret'>", "status_code": 500}
    logging.getLogger("django.request").error("Internal Server Error", exc_info=ValueError("x"), extra=record)
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.usefixtures("own_logging")
def test_the_token_of_a_link_never_reaches_the_log_with_a_crash(
    rf: RequestFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(level="INFO", style="text")
    request = rf.get("/accounts/verify-email/s3cret/")
    request.resolver_match = resolve(request.path)
    crash = ValueError("x")
    logging.getLogger("django.request").error("Crash: %s", request.path, exc_info=crash, extra={"request": request})
    assert "Crash: /accounts/verify-email/[redacted]/" in capsys.readouterr().err


@pytest.mark.usefixtures("own_logging")
def test_the_first_requests_for_a_host_that_is_not_allowed_are_told_of_with_the_way_out(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(level="INFO", style="json")
    hosts = ["shop0.example.org" + "x" * 5_000, *["10.0.0.7:8000"] * 20, "not a host", "l" * 63 + ".example.org"]
    for host in [*hosts, *(f"shop{number}.example.org" for number in range(20))]:
        assert client.get("/", headers={"Host": host}).status_code == 400
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [line for line in lines if line["logger"] == "django.security.DisallowedHost"]
    assert 0 < len(told) < 20
    for place, name in enumerate(("10.0.0.7", "l" * 63 + ".example.org", "shop0.example.org")):
        assert f"You may need to add '{name}' to ALLOWED_HOSTS." in told[place]["event"]
    assert {line["level"] for line in told} == {"warning"}
    assert all("exception" not in line and len(line["event"]) < 1_000 for line in told)

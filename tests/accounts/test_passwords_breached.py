"""Breached passwords are refused: by a file, by a service that never learns them, and what happens without either."""

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.passwords import BreachedPasswordValidator
from accounts.passwords.bloom import build
from accounts.passwords.lookup import MAX_ANSWER_BYTES, TIMEOUT_SECONDS, is_acceptable_url

LEAKED = "correct horse battery staple"
UNKNOWN = "bqxwzkvjpfmhgdt"


def sha1(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).digest()


def write_filter(path: Path, *passwords: str) -> Path:
    members = [sha1(password) for password in passwords]
    build(path, read_digests=lambda: members, entries=len(members), false_positives=1e-6)
    return path


def set_passwords(settings: Settings, **values: object) -> None:
    settings.ACCOUNTS = {**settings.ACCOUNTS, **{f"BREACHED_PASSWORDS_{name}": value for name, value in values.items()}}


def code_of(password: str) -> str | None:
    """Return why the password is refused, or None."""
    try:
        BreachedPasswordValidator().validate(password)
    except ValidationError as error:
        return str(error.code)
    return None


def ids_of_checks(*, deploy: bool = False) -> list[str | None]:
    found: list[CheckMessage] = run_checks(tags=["accounts", "security"], include_deployment_checks=deploy)
    return [message.id for message in found if str(message.id).startswith("accounts.")]


class RangeService(ThreadingHTTPServer):
    """A real server with the range API; a test says what it answers."""

    status = 200
    body = b""
    headers: dict[str, str]
    pause: float = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RangeHandler)
        self.headers = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def know(self, password: str, *, count: int = 7) -> None:
        """Let the password stand among others."""
        rest = sha1(password).hex().upper()[5:]
        lines = [f"{'0' * 34}1:3", f"{rest}:{count}", f"{'F' * 35}:0"]
        self.body = "\r\n".join(lines).encode()


class RangeHandler(BaseHTTPRequestHandler):
    server: RangeService

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for start in range(0, len(self.server.body), 20_000):
                self.wfile.write(self.server.body[start : start + 20_000])
                self.wfile.flush()
                time.sleep(self.server.pause)
        except OSError:
            pass  # the other side has had enough

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(service: RangeService) -> Iterator[None]:
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


@pytest.fixture
def service(settings: Settings) -> Iterator[RangeService]:
    """A running service that the settings name."""
    service = RangeService()
    set_passwords(settings, URL=f"http://127.0.0.1:{service.server_port}/range/")
    with serving(service):
        yield service


def test_without_file_and_service_nothing_is_asked() -> None:
    assert code_of(LEAKED) is None


@pytest.mark.compliance("ASVS 5.0", "6.2.12", "new passwords are held against a set of breached ones")
@pytest.mark.compliance("Security", "AC05", "a breached password is refused")
def test_a_password_in_the_file_is_refused(tmp_path: Path, settings: Settings) -> None:
    set_passwords(settings, FILE=str(write_filter(tmp_path / "f", LEAKED)))
    assert (code_of(LEAKED), code_of(UNKNOWN), code_of("half of \ud800 a pair")) == ("password_breached", None, None)


@pytest.mark.django_db
def test_registration_refuses_a_breached_password_and_says_why(
    tmp_path: Path, settings: Settings, api_client: APIClient
) -> None:
    set_passwords(settings, FILE=str(write_filter(tmp_path / "f", LEAKED)))
    body = {"email": "ada@example.com", "password": LEAKED, "name": "Ada"}
    response = api_client.post("/api/v1/auth/register", body)
    assert response.status_code == 400
    assert "known from a leak" in response.json()["errors"][0]["message"]
    assert not User.objects.exists()


def test_a_file_that_is_replaced_counts_from_the_next_look_up(tmp_path: Path, settings: Settings) -> None:
    set_passwords(settings, FILE=str(write_filter(tmp_path / "f", LEAKED)))
    assert (code_of(LEAKED), code_of(UNKNOWN)) == ("password_breached", None)
    write_filter(tmp_path / "f", UNKNOWN)
    assert (code_of(LEAKED), code_of(UNKNOWN)) == (None, "password_breached")


@pytest.mark.parametrize("is_required", [False, True], ids=["goes on", "refuses"])
def test_without_a_usable_file_the_setting_decides_and_one_line_is_logged(
    tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture, is_required: bool
) -> None:
    path = tmp_path / "f"
    set_passwords(settings, FILE=str(path), REQUIRED=is_required)
    expected = "password_not_checked" if is_required else None
    assert [code_of(LEAKED) for _ in range(3)] == [expected] * 3
    assert caplog.text.count("breached_passwords_unavailable") == 1
    path.write_bytes(b"no filter")
    assert [code_of(LEAKED) for _ in range(3)] == [expected] * 3
    assert caplog.text.count("breached_passwords_unavailable") == 2
    write_filter(path, LEAKED)
    assert code_of(LEAKED) == "password_breached"
    path.unlink()
    assert code_of(LEAKED) == expected
    assert LEAKED not in caplog.text


def test_the_checks_name_a_file_that_cannot_be_used(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "f"
    set_passwords(settings, FILE=str(path))
    assert ids_of_checks() == ids_of_checks(deploy=True) == ["accounts.E001"]
    write_filter(path, LEAKED)
    assert ids_of_checks(deploy=True) == []
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert (ids_of_checks(), ids_of_checks(deploy=True)) == ([], ["accounts.E002"])
    path.write_bytes(content[:-1])
    assert ids_of_checks() == ids_of_checks(deploy=True)[:1] == ["accounts.E001"]


def test_the_service_learns_five_digits_and_nothing_else(service: RangeService) -> None:
    service.know(LEAKED)
    assert (code_of(LEAKED), code_of(UNKNOWN)) == ("password_breached", None)
    digits = sha1(LEAKED).hex().upper()
    path, headers = service.asked[0]
    assert path == f"/range/{digits[:5]}"
    assert (headers["Add-Padding"], headers["User-Agent"]) == ("true", "Gatehouse")
    assert digits[5:] not in str(service.asked)
    assert {"Cookie", "Authorization"}.isdisjoint(headers)


def test_padding_is_no_breach(service: RangeService) -> None:
    service.know(LEAKED, count=0)
    assert code_of(LEAKED) is None


def test_what_the_file_knows_is_not_asked_for(tmp_path: Path, settings: Settings, service: RangeService) -> None:
    set_passwords(settings, FILE=str(write_filter(tmp_path / "f", LEAKED)))
    assert code_of(LEAKED) == "password_breached"
    assert service.asked == []


@pytest.mark.parametrize("status", [301, 302, 307, 404, 429, 500])
@pytest.mark.parametrize("is_required", [False, True], ids=["goes on", "refuses"])
def test_another_answer_than_200_is_none(
    service: RangeService, settings: Settings, caplog: pytest.LogCaptureFixture, status: int, is_required: bool
) -> None:
    set_passwords(settings, REQUIRED=is_required)
    service.know(LEAKED)
    service.status, service.headers = status, {"Location": f"http://127.0.0.1:{service.server_port}/elsewhere"}
    assert code_of(LEAKED) == ("password_not_checked" if is_required else None)
    assert len(service.asked) == 1
    digits = sha1(LEAKED).hex().upper()
    assert f"status {status}" in caplog.text
    assert not [word for word in (LEAKED, digits[:5], digits[5:]) if word in caplog.text]


@pytest.mark.parametrize("pause", [0, 0.3], ids=["too long", "too slow"])
def test_an_answer_without_end_is_none(service: RangeService, settings: Settings, pause: float) -> None:
    set_passwords(settings, REQUIRED=True)
    service.body, service.pause = b"0" * (MAX_ANSWER_BYTES + 100_000), pause
    started = time.monotonic()
    assert code_of(LEAKED) == "password_not_checked"
    assert time.monotonic() - started < TIMEOUT_SECONDS * 3


def test_no_server_is_no_answer(settings: Settings, service: RangeService, caplog: pytest.LogCaptureFixture) -> None:
    gone = RangeService()
    gone.server_close()
    set_passwords(settings, URL=f"http://127.0.0.1:{gone.server_port}/range", REQUIRED=True)
    assert code_of(LEAKED) == "password_not_checked"
    assert sha1(LEAKED).hex().upper()[:5] not in caplog.text


def test_a_certificate_that_nobody_vouches_for_is_no_answer(tmp_path: Path, settings: Settings) -> None:
    service = RangeService()
    service.know(LEAKED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_certificate(tmp_path / "certificate.pem"))
    service.socket = context.wrap_socket(service.socket, server_side=True)
    set_passwords(settings, URL=f"https://localhost:{service.server_port}/range", REQUIRED=True)
    with serving(service):
        assert code_of(LEAKED) == "password_not_checked"
    assert service.asked == []


def write_certificate(path: Path) -> Path:
    """Write a key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


@pytest.mark.parametrize(
    "url",
    [
        "http://api.pwnedpasswords.com/range",
        "http://127.0.0.1.example.com/range",
        "https://user:secret@api.example.com/range",
        "https://api.example.com/range?key=secret",
        "https://api.example.com/range#there",
        "https:///range",
        "https://[::1/range",
        "https://api.example.com:port/range",
        "ftp://api.example.com/range",
        "file:///etc/passwd",
        "api.example.com/range",
    ],
)
def test_other_addresses_are_refused_and_never_asked(settings: Settings, url: str) -> None:
    assert not is_acceptable_url(url)
    set_passwords(settings, URL=url, REQUIRED=True)
    assert ids_of_checks() == ["accounts.E003"]
    assert code_of(LEAKED) == "password_not_checked"


@pytest.mark.parametrize(
    "url", ["https://api.pwnedpasswords.com/range/", "https://mirror.example.com:8443", "http://[::1]:8000/range"]
)
def test_https_and_this_machine_are_accepted(settings: Settings, url: str) -> None:
    set_passwords(settings, URL=url)
    assert ids_of_checks() == []


@pytest.mark.django_db
def test_signing_in_asks_neither(client: Client, service: RangeService, user: User) -> None:
    client.post("/accounts/login/", {"username": user.email, "password": "correct horse battery"})
    assert service.asked == []

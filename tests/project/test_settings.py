"""The environment: read once, every error at once, nothing weak in production."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from project.settings.environment import Environment
from tests.processes import ROOT
from tests.project.production import GOOD, run_in_production


def start_in_production(tmp_path: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Ask for the deploy checks under production settings with a changed environment."""
    return run_in_production(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **changes)


@pytest.mark.process
def test_good_production_settings_pass_the_deploy_checks_without_a_message(tmp_path: Path) -> None:
    finished = start_in_production(tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.strip() == "System check identified no issues (3 silenced)."


@pytest.mark.process
@pytest.mark.compliance("Security", "AC08", "the cookies of the pages are bound to the host and to https")
@pytest.mark.parametrize("kind", ["SESSION", "CSRF"])
def test_cookies_of_the_pages_are_bound_to_the_host_and_to_https(tmp_path: Path, kind: str) -> None:
    names = ["NAME", "SECURE", "SAMESITE", "PATH", "DOMAIN"] + ["HTTPONLY"] * (kind == "SESSION")
    read = ", ".join(f"settings.{kind}_COOKIE_{name}" for name in names)
    code = f"import json; from django.conf import settings; print(json.dumps([{read}]))"
    told = dict(zip(names, json.loads(run_in_production(tmp_path, "-c", code).stdout), strict=True))
    assert told.pop("NAME").startswith("__Host-")  # browsers take such a cookie with these properties alone
    assert told.pop("SAMESITE") in {"Lax", "Strict"}
    assert told == {"SECURE": True, "PATH": "/", "DOMAIN": None} | ({"HTTPONLY": True} if kind == "SESSION" else {})


@pytest.mark.compliance("RFC 6749", "1.6", "a house on the net is reached by https alone")
@pytest.mark.process
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "django-insecure-" + GOOD["SECRET_KEY"]),
        ("SECRET_KEY", "a" * 60),
        ("SECRET_KEY", "for-the-test-suite-alone-" + GOOD["SECRET_KEY"]),
        ("SECRET_KEY", "k2Zq9wT4RbX7mPs1" * 4),
        ("SECRET_KEY", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "foo://bar"),
        ("DATABASE_URL", "mysql://me:secret@db.example.org/house"),
        ("REDIS_URL", "nonsense"),
        ("REDIS_URL", "redis://cache.example.org:port/0"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("VAR_DIR", "/proc/gatehouse"),
        ("SECRET_KEY_FALLBACKS", "old"),
        ("BASE_URL", "http://id.example.org"),
        ("BASE_URL", "https://id.example.org/path"),
        ("BASE_URL", "https://id.example.org#top"),
        ("BASE_URL", "https://me@id.example.org"),
        ("BASE_URL", "https://id.example.org:port"),
        ("ALLOWED_HOSTS", ""),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "https://id.example.org"),
        ("ALLOWED_HOSTS", "id.example.org:443"),
        ("ALLOWED_HOSTS", "www.example.org"),
        ("EMAIL_URL", ""),
        ("DEFAULT_FROM_EMAIL", "Gatehouse"),
        ("JOB_ALERT_EMAILS", "ada"),
        ("DEBUG", "1"),
        ("SEED_PASSWORD", "a password for seeds"),
        ("METRICS_TOKEN", "short"),
        ("JOB_CONNECTION", "rdis"),
        ("JOB_CONNECTION", "redis"),
    ],
)
def test_a_weak_setting_stops_the_start_in_production(tmp_path: Path, variable: str, value: str) -> None:
    finished = start_in_production(tmp_path, **{variable: value})
    assert finished.returncode == 1
    assert f"  {variable}:" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.process
def test_a_database_server_that_vanishes_is_not_waited_for_by_the_kernel_s_patience(tmp_path: Path) -> None:
    address = "postgres://house:secret@db.example.org/house"
    tell = "import json, django.conf; print(json.dumps(django.conf.settings.DATABASES['default']['OPTIONS']))"
    process = run_in_production(tmp_path, "-c", tell, DATABASE_URL=address)
    options = json.loads(process.stdout)
    assert options["connect_timeout"] <= 5
    assert options["tcp_user_timeout"] <= 10_000
    assert options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"] <= 15


def test_every_mistake_of_the_environment_is_shown_at_once(tmp_path: Path) -> None:
    finished = start_in_production(tmp_path, SECRET_KEY="", PORT="http", DEBUG="perhaps", LOG_LEVEL="LOUD")
    for variable in ("SECRET_KEY", "PORT", "DEBUG", "LOG_LEVEL"):
        assert f"  {variable}:" in finished.stderr


def test_a_wrong_value_is_named_but_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "hunter2")
    env = Environment()
    env.number("PORT", default=8000, help="A port.")
    with pytest.raises(ImproperlyConfigured, match="PORT") as caught:
        env.seal()
    assert "hunter2" not in str(caught.value)


def test_a_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from the file\n")  # as echo and editors end it
    monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "secret"))
    assert Environment().text("A_SECRET", help="A secret.") == "from the file"


def test_a_mail_url_becomes_a_mailer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL", "smtp://me:p%40ss@mail.example.org:587?tls=1")
    options = Environment().mailer("MAIL", help="Mail.")["OPTIONS"]
    assert (options["host"], options["port"], options["password"], options["use_tls"]) == (
        "mail.example.org", 587, "p@ss", True,
    )  # fmt: skip


@pytest.mark.parametrize(("ending", "port"), [("?ssl=1", 465), ("?tls=1", 587), ("", 25), (":2525?tls=1", 2525)])
def test_a_mail_url_without_a_port_means_that_of_its_way(
    monkeypatch: pytest.MonkeyPatch, ending: str, port: int
) -> None:
    monkeypatch.setenv("MAIL", f"smtp://me:secret@mail.example.org{ending}")
    options = Environment().mailer("MAIL", help="Mail.")["OPTIONS"]
    assert (options["port"], options["use_ssl"]) == (port, "ssl" in ending)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "away"))
    env = Environment()
    env.text("A_SECRET", help="A secret.")
    with pytest.raises(ImproperlyConfigured, match=f"A_SECRET: .*A_SECRET_FILE.*{tmp_path}/away"):
        env.seal()


def test_the_house_may_have_an_address_for_a_name(tmp_path: Path) -> None:
    ended = start_in_production(tmp_path, BASE_URL="https://[2001:db8::1]:8443", ALLOWED_HOSTS="[2001:db8::1]")
    assert ended.returncode == 0, ended.stderr


def test_mails_come_from_the_host_of_the_house(tmp_path: Path) -> None:
    tell = "from django.conf import settings; print(settings.DEFAULT_FROM_EMAIL)"
    assert run_in_production(tmp_path, "-c", tell).stdout == "Gatehouse <no-reply@id.example.org>\n"


@pytest.mark.parametrize(
    "url",
    [
        "http://mail",
        "smtp://",
        "smtps://me:secret@host",
        "smtp://host:many",
        # What is no word for TLS must not send a password in plain text.
        "smtp://me:secret@host:587?tls=true",
        "smtp://me:secret@host:587?tsl=1",
        "smtp://me:secret@host:587?tls",
        "smtp://me:secret@host:587?tls=1&tls=0",
        "smtp://me:secret@host:587?tls=1&ssl=1",
    ],
)
def test_a_wrong_mail_url_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MAIL", url)
    env = Environment()
    env.mailer("MAIL", help="Mail.")
    with pytest.raises(ImproperlyConfigured, match="MAIL"):
        env.seal()


@pytest.mark.process
def test_the_settings_that_the_guide_shows_for_sentinels_are_settings(tmp_path: Path) -> None:
    guide = (ROOT / "docs/jobs-operations.md").read_text()
    blocks = re.findall(r"^```text\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    shown = next(block for block in blocks if "SENTINELS" in block)
    (tmp_path / "site_settings.py").write_text(shown)
    tell = "from jobs.drivers.base import get_driver; print(get_driver().name, get_driver()._scripts.client)"
    options = ("--no-imports", "--settings", "site_settings", "--pythonpath", str(tmp_path))
    addresses = {"REDIS_URL": "redis://127.0.0.1:9/0", "REDIS_PASSWORD": "quiet"}
    ended = run_in_production(tmp_path, "manage.py", "shell", *options, "-c", tell, **addresses)
    assert ended.stdout.startswith("redis "), ended.stderr
    assert "SentinelConnectionPool" in ended.stdout


def test_the_example_environment_is_what_the_settings_say() -> None:
    call_command("env_example", check=True)


def test_a_stale_example_environment_is_noticed(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / ".env.example").write_text("# old\n")
    settings.BASE_DIR = tmp_path
    with pytest.raises(CommandError, match="env_example"):
        call_command("env_example", check=True)

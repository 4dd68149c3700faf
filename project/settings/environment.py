"""The process environment, read once, with every error shown at once.

Each variable is declared where it is used, with its default and one sentence of help; the declarations are the
source of ``.env.example`` (``manage.py env_example``). A variable ``NAME`` may also be given as ``NAME_FILE``, the
path of a file that holds the value, as container platforms mount secrets.
"""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured
from environs import EnvError, FileAwareEnv

#: Folder of the clone.
BASE_DIR = Path(__file__).resolve().parents[2]
#: What the address of a mail server looks like.
MAIL_URL = "smtp://user:password@host:587?tls=1 (STARTTLS) or smtp://user:password@host:465?ssl=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One declared variable of the environment."""

    name: str
    #: The default as it would be written in the environment; empty means unset.
    default: str
    #: One sentence: meaning, unit, when it is needed.
    help: str
    #: Heading under which ``.env.example`` lists it.
    group: str


class Environment:
    """Typed reader of the environment that collects declarations and errors.

    Reading never raises; ``seal`` does, with one line for each variable that is missing or wrong.
    """

    def __init__(self, *, dotenv: Path | None = None) -> None:
        """Read ``dotenv`` into the process environment first, without overriding what is set there."""
        self._env = FileAwareEnv(strip_whitespace=True)  # of files, which end with a line break
        if dotenv is not None and dotenv.is_file():
            self._env.read_env(str(dotenv), recurse=False)
        self._group = ""
        self._variables: dict[str, Variable] = {}
        self._errors: dict[str, str] = {}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Every declared variable, in the order of declaration."""
        return tuple(self._variables.values())

    def group(self, title: str) -> None:
        """Start a group: following declarations stand under this heading."""
        self._group = title

    def text(self, name: str, *, default: str = "", help: str) -> str:  # noqa: A002 - the word that argparse and Django use
        """Declare and read a string."""
        return self._read(name, self._env.str, default, default, help)

    def flag(self, name: str, *, default: bool = False, help: str) -> bool:  # noqa: A002 - as above
        """Declare and read a yes/no value."""
        return self._read(name, self._env.bool, default, str(int(default)), help, expected="1 or 0")

    def number(self, name: str, *, default: int, help: str, least: int = 0, most: int = 1_000_000) -> int:  # noqa: A002 - as above
        """Declare and read a whole number within bounds."""
        value = self._read(
            name, self._env.int, default, str(default), help, expected=f"a whole number from {least} to {most}"
        )
        if not least <= value <= most:
            self.reject(name, f"must be a whole number from {least} to {most}")
            return default
        return value

    def choice(self, name: str, *, default: str, choices: Collection[str], help: str) -> str:  # noqa: A002 - as above
        """Declare and read one of a few words."""
        value = self.text(name, default=default, help=help)
        if value not in choices:
            self.reject(name, f"must be one of: {', '.join(sorted(filter(None, choices)))}")
            return default
        return value

    def time_zone(self, name: str, *, default: str, help: str) -> str:  # noqa: A002 - as above
        """Declare and read the name of a time zone."""
        value = self.text(name, default=default, help=help)
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # what zoneinfo raises, by the kind of nonsense
            self.reject(name, "must be a time zone such as UTC or Europe/Zurich")
            return default
        return value

    def redis(self, name: str, *, help: str) -> str:  # noqa: A002 - as above
        """Declare and read the URL of a Redis or Valkey server."""
        value = self.text(name, help=help)
        if value and (urlsplit(value).scheme not in {"redis", "rediss"} or not _has_host(value)):
            self.reject(name, "must look like redis://host:6379/0, or rediss:// for TLS")
            return ""
        return value

    def words(self, name: str, *, default: tuple[str, ...] = (), help: str) -> list[str]:  # noqa: A002 - as above
        """Declare and read a comma-separated list."""
        raw = self._read(name, self._env.str, ",".join(default), ",".join(default), help)
        return [word.strip() for word in raw.split(",") if word.strip()]

    def origin(self, name: str, *, default: str = "", help: str) -> str:  # noqa: A002 - as above
        """Declare and read an origin such as ``https://id.example.com`` (no path, no trailing slash)."""
        value = self.text(name, default=default, help=help).rstrip("/")
        scheme, netloc, *rest = urlsplit(value)
        if value and (scheme not in {"http", "https"} or "@" in netloc or any(rest) or not _has_host(value)):
            self.reject(name, "must be an origin such as https://id.example.com, without a path")
            return default
        return value

    def address(self, name: str, *, help: str) -> str:  # noqa: A002 - as above
        """Declare and read a mail address, perhaps with a name before it; empty if unset."""
        value = self.text(name, help=help)
        if value and not _is_address(value):
            self.reject(name, "must look like no-reply@id.example.com, or Name <no-reply@id.example.com>")
            return ""
        return value

    def addresses(self, name: str, *, help: str) -> list[str]:  # noqa: A002 - as above
        """Declare and read a comma-separated list of mail addresses."""
        values = self.words(name, help=help)
        if not all(map(_is_address, values)):
            self.reject(name, "must list mail addresses, such as ada@example.com, comma-separated")
            return []
        return values

    def database(self, name: str, *, default: str, shown: str, help: str) -> dict[str, Any]:  # noqa: A002 - as above
        """Declare and read a database URL into an entry of ``DATABASES``; ``shown`` is the default for people."""
        # Any: the shape of Django's own DATABASES entries.
        settings: Any = self._read(
            name,
            self._env.dj_db_url,
            default,
            shown,
            help,
            expected="postgres://user:password@host:5432/name, or sqlite:///file",
        )
        engines = {"django.db.backends.postgresql", "django.db.backends.sqlite3"}
        if not isinstance(settings, dict) or settings.get("ENGINE") not in engines:
            self.reject(name, "must be postgres://user:password@host:5432/name, or sqlite:///file")
            return {"ENGINE": "django.db.backends.dummy"}
        return settings

    def mailer(self, name: str, *, default: str = "", help: str) -> dict[str, Any]:  # noqa: A002 - as above
        """Declare and read a mail URL into an entry of ``MAILERS``.

        ``smtp://user:password@host:port`` with ``?tls=1`` (STARTTLS) or ``?ssl=1`` (TLS from the first byte). Without a
        port it is 587, 465 or, with neither, 25 (RFC 8314 §7.3, RFC 6409 §3.1). Empty gives an empty entry.
        """
        raw = self.text(name, default=default, help=help)
        if not raw:
            return {}
        try:
            parts = urlsplit(raw)
            port = parts.port
        except ValueError:
            self.reject(name, "has a port that is not a number")
            return {}
        if parts.scheme != "smtp" or not parts.hostname:
            self.reject(name, f"must look like {MAIL_URL}")
            return {}
        query = parse_qs(parts.query, keep_blank_values=True)
        # Another word must not mean: without.
        if not all(key in {"tls", "ssl"} and values in (["0"], ["1"]) for key, values in query.items()) or (
            query.get("tls") == query.get("ssl") == ["1"]
        ):
            self.reject(name, "may end with ?tls=1 (STARTTLS) or ?ssl=1, not with both nor with anything else")
            return {}
        # Any: the shape of Django's own MAILERS entries.
        options: dict[str, Any] = {
            "host": parts.hostname,
            "port": port or (465 if query.get("ssl") == ["1"] else 587 if query.get("tls") == ["1"] else 25),
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "use_tls": query.get("tls") == ["1"],
            "use_ssl": query.get("ssl") == ["1"],
            "timeout": 10,
        }
        return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}

    def reject(self, name: str, reason: str) -> None:
        """Note that a variable can't be used as it is; ``seal`` will show the reason."""
        self._errors.setdefault(name, reason)

    def seal(self) -> None:
        """Stop the start if any variable was rejected.

        Raises:
            ImproperlyConfigured: One line per variable, all at once.
        """
        if not self._errors:
            return
        lines = "\n".join(f"  {name}: {reason}" for name, reason in sorted(self._errors.items()))
        message = f"The environment is not usable yet:\n{lines}\nSee .env.example for every variable and its meaning."
        raise ImproperlyConfigured(message)

    def _read[T](
        self, name: str, reader: Callable[..., Any], default: T, shown: str, help_text: str, *, expected: str = "text"
    ) -> T:
        self._variables.setdefault(name, Variable(name=name, default=shown, help=help_text, group=self._group))
        try:
            value: T = reader(name, default)
        except (EnvError, ValueError):
            # The value itself is left out: it may be a secret.
            path = os.environ.get(f"{name}_FILE")
            is_lost = path and not os.access(path, os.R_OK)
            self.reject(name, f"cannot be read: {name}_FILE names {path}" if is_lost else f"must be {expected}")
            return default
        return value


def _has_host(url: str) -> bool:
    """Tell whether a URL names a host and, if at all, a port that is a number."""
    try:
        return bool(urlsplit(url).hostname) and (urlsplit(url).port or 0) >= 0
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    return "@" in parseaddr(text)[1]

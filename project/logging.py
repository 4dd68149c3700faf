"""One shape for every log line: structured, with the request id, JSON in production and readable in development."""

import logging
import logging.config
import re
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Literal, cast, override

import structlog
from django.http import HttpRequest

from project.printable import to_printable

# Any: the shape that structlog gives to an event.
type Event = MutableMapping[str, Any]

#: Keys whose values never reach a log, whatever library hands them over.
SECRET_KEYS = frozenset(
    {
        "password", "secret", "client_secret", "token", "access_token", "refresh_token", "id_token", "code",
        "code_verifier", "authorization", "cookie", "csrfmiddlewaretoken", "payload", "secret_key",
        "passwd", "passphrase", "api_key", "private_key", "assertion",
    }
)  # fmt: skip
_SECRET_ENDINGS = ("password", "secret", "token", "cookie")
_PLAIN_SECRET_KEYS = frozenset(key.replace("_", "") for key in SECRET_KEYS)

#: 20 or more characters of URL-safe base64, except a UUID; words joined by hyphens have no digit or capital in them.
_RANDOM_PART = re.compile(
    r"(?<![\w-])(?![0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-]))(?=[\w-]*[0-9A-Z])[\w-]{20,}", re.ASCII
)
#: Takes out of texts what the code that runs now must not let out; None where there is nothing of the kind.
_redactor: ContextVar[Callable[[str], str] | None] = ContextVar("log_redactor", default=None)
#: Tells what the code that runs now works on; None where nobody says so.
_describe: ContextVar[Callable[[], Event] | None] = ContextVar("log_description", default=None)
#: What says where an entry comes from, and never what it is about.
_OWN_KEYS = frozenset({"timestamp", "level", "logger"})
#: So many hosts that aren't allowed are told of, in each process, and so many characters of each: room for two names.
_STRANGERS = 10
_MAX_HINT = 700
#: What Django says of a host that might be allowed.
_HINT = "You may need to add"


def is_secret_key(key: str) -> bool:
    """Say whether a key names a secret, however it is spelt: ``new_password``, ``refreshToken``, ``Set-Cookie``."""
    plain = key.lower().replace("_", "").replace("-", "")
    return plain in _PLAIN_SECRET_KEYS or plain.endswith(_SECRET_ENDINGS)


def redact_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Replace the value of every key that names a secret."""
    for key in event:
        if is_secret_key(key):
            event[key] = "[redacted]"
    return event


class Redaction:
    """Lets every entry that is logged within the block pass a function that takes out what is secret there.

    It holds for this thread or asynchronous task, for libraries too, and for the exceptions of the entries.
    """

    __slots__ = ("_redactor", "_token")

    def __init__(self, redactor: Callable[[str], str]) -> None:
        """Take the function."""
        self._redactor = redactor

    def __enter__(self) -> None:
        """Begin."""
        self._token = _redactor.set(self._redactor)

    def __exit__(self, *_raised: object) -> None:
        """End."""
        _redactor.reset(self._token)


class Description:
    """Gives every entry that is logged within the block some more keys, which are made only where there is an entry.

    It holds for this thread or asynchronous task.
    """

    __slots__ = ("_describe", "_token")

    def __init__(self, describe: Callable[[], Event]) -> None:
        """Take what returns the keys."""
        self._describe = describe

    def __enter__(self) -> None:
        """Begin."""
        self._token = _describe.set(self._describe)

    def __exit__(self, *_raised: object) -> None:
        """End."""
        _describe.reset(self._token)


def add_description(_logger: object, _method: str, event: Event) -> Event:
    """Add what the code that runs now works on; what the entry says itself stands, and what that code has bound."""
    describe = _describe.get()
    if describe is not None:
        for key, value in describe().items():
            event.setdefault(key, value)
    return event


def redact_values(logger: object, method: str, event: Event) -> Event:
    """Take out what the code that runs now says is secret, whatever key it stands under."""
    redactor = _redactor.get()
    if redactor is None:
        return event
    if "exc_info" in event:  # as text, so that it can be looked through
        event = structlog.processors.format_exc_info(cast("Any", logger), method, event)
    for key, value in event.items():
        if key in _OWN_KEYS or key.startswith("_") or value is None:
            continue
        text = value if isinstance(value, str) else repr(value)
        redacted = redactor(text)
        if redacted != text:
            event[key] = redacted
    return event


def drop_request(_logger: object, _method: str, event: Event) -> Event:
    """Drop the request that Django attaches to its records: shown as text it has the query string in it."""
    event.pop("request", None)
    return event


def get_loggable_path(request: HttpRequest) -> str:
    """Return the path with what may be a secret replaced, such as the token of a mailed link.

    That is each part that its route captures under a secret's name, and, because many requests are answered before any
    route is found, each part that looks random and isn't a plain id.
    """
    path = _RANDOM_PART.sub("[redacted]", request.path)
    captured = request.resolver_match.kwargs if request.resolver_match else {}
    for name, value in captured.items():
        if name in SECRET_KEYS:
            path = path.replace(str(value), "[redacted]")
    return path


def has_secret_path(request: HttpRequest) -> bool:
    """Say whether the request's route captures a secret, such as the token of a mailed link."""
    return bool(request.resolver_match and SECRET_KEYS & request.resolver_match.kwargs.keys())


class CrashesOnly(logging.Filter):
    """Lets through what carries a traceback: that a request was answered with 5xx is in the request log already.

    Django's text holds the path as it came; what the route captures as a secret is taken out of it.
    """

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record has an exception, and mend its text."""
        request = getattr(record, "request", None)
        if isinstance(request, HttpRequest):
            record.msg = record.getMessage().replace(request.path, get_loggable_path(request))
            record.args = ()
        return record.exc_info is not None


class FirstStrangers(logging.Filter):
    """Lets the first few hosts through that aren't allowed, each once, as a warning with Django's hint.

    They show whoever sets up the house what is missing. Later ones are of scanners, and 400s in the log of requests.
    """

    def __init__(self, level: str) -> None:
        """Take from which level on there are entries; they come as errors, and are none."""
        super().__init__()
        self._is_heard = logging.getLevelNamesMapping()[level] <= logging.WARNING
        self._told: set[str] = set()

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is to be told, and take its traceback from it."""
        hint = record.getMessage()[:_MAX_HINT]
        if not self._is_heard or _HINT not in hint or hint in self._told or len(self._told) >= _STRANGERS:
            return False
        self._told.add(hint)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args, record.exc_info = hint, (), None
        return True


def escape_control_characters(_logger: object, _method: str, event: Event) -> Event:
    """Keep one event on one line and free of terminal commands, whatever a client put into a name."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = to_printable(value)
    return event


def configure_logging(*, level: str, style: Literal["json", "text"]) -> None:
    """Set up structlog and the standard library's loggers so that both print the same lines to stderr."""
    # What Python tells of an entry that can't be written is the entry as it came, before anything was redacted.
    logging.raiseExceptions = style == "text"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_description,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        drop_request,
        redact_secrets,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        # The default formatter prints every local variable, passwords and tokens among them.
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    exceptions: list[structlog.typing.Processor] = [structlog.processors.format_exc_info] if style == "json" else []
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "house": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        redact_values,
                        *exceptions,
                        escape_control_characters,
                        renderer,
                    ],
                }
            },
            "filters": {"crashes_only": {"()": CrashesOnly}, "first_strangers": {"()": FirstStrangers, "level": level}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "house"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                "django.request": {"level": "ERROR", "filters": ["crashes_only"]},
                "django.server": {"level": "ERROR"},
                # Its lines hold the whole address, and with it the tokens of mailed links; the view of it logs instead.
                "django.security.csrf": {"level": "ERROR"},
                "django.security.DisallowedHost": {"level": "ERROR", "filters": ["first_strangers"]},
                # Its debug lines carry request bodies.
                "oauthlib": {"level": "WARNING"},
                "oauth2_provider": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )

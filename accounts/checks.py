"""System checks: what the settings must say about breached passwords, limits on attempts, and lifetimes."""

from typing import Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from accounts.conf import get_password_settings
from accounts.passwords.bloom import BloomFilter, BrokenFilterError
from accounts.passwords.lookup import is_acceptable_url
from accounts.throttles.doors import Door, get_limits

_BUILD = "Build it with manage.py build_breached_passwords, or leave BREACHED_PASSWORDS_FILE empty."
_ID_TOKEN_ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
_DAY: Final = 24 * 3600
#: Setting, least and greatest value, and what docs/accounts.md promises by it.
_BOUNDS: Final[tuple[tuple[str, int, int | None, str], ...]] = (
    ("ACCESS_TOKEN_SECONDS", 1, 600, "an access token works for ten minutes at most"),
    ("REFRESH_GRACE_SECONDS", 0, 60, "a refresh token that is used twice ends its session"),
    ("REAUTHENTICATION_SECONDS", 1, 300, "what is sensitive needs a sign-in that is at most five minutes old"),
    ("EMAIL_VERIFICATION_SECONDS", 1, _DAY, "a link in a mail works for a day at most"),
    ("EMAIL_CHANGE_SECONDS", 1, _DAY, "a link in a mail works for a day at most"),
    ("PASSWORD_RESET_SECONDS", 1, _DAY, "a link in a mail works for a day at most"),
    ("PASSWORD_MINIMUM_LENGTH", 15, 256, "a password has at least 15 characters"),
    ("REFRESH_IDLE_SECONDS", 1, None, "a session that isn't used ends"),
    ("BROWSER_IDLE_SECONDS", 1, None, "a session that isn't used ends"),
    ("SESSION_ABSOLUTE_SECONDS", 1, None, "every session ends"),
    ("ENDED_SESSION_SECONDS", 1, None, "ended sessions can be looked at"),
    ("ID_TOKEN_HINT_SECONDS", 0, None, "an ID token may come back as a hint after it has expired"),
    ("UNVERIFIED_ACCOUNT_SECONDS", _DAY, None, "an account outlives the link of its registration"),
)


@register("accounts")
def check_breached_passwords_file(app_configs: object, **_: object) -> list[CheckMessage]:
    """E001: the file of breached passwords is missing, is none, or was cut off."""
    path = get_password_settings().breached_file
    if path is None:
        return []
    try:
        BloomFilter(path)
    except (OSError, BrokenFilterError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"The file of breached passwords, {path}, can't be used: {reason}."
        return [Error(message, hint=_BUILD, id="accounts.E001")]
    return []


@register(Tags.security, deploy=True)
def check_breached_passwords_content(app_configs: object, **_: object) -> list[CheckMessage]:
    """E002: the file was damaged since it was built. Reads all of it, so only with ``--deploy``."""
    path = get_password_settings().breached_file
    if path is None:
        return []
    try:
        BloomFilter(path).verify()
    except OSError:
        return []  # which E001 says
    except BrokenFilterError as error:
        return [Error(f"The file of breached passwords, {path}, is damaged: {error}.", hint=_BUILD, id="accounts.E002")]
    return []


@register("accounts")
def check_breached_passwords_url(app_configs: object, **_: object) -> list[CheckMessage]:
    """E003: digits of passwords' digests would be sent in the clear, or nowhere."""
    url = get_password_settings().breached_url
    if not url or is_acceptable_url(url):
        return []
    message = "BREACHED_PASSWORDS_URL must be an https:// address without credentials, query or fragment."
    return [Error(message, id="accounts.E003")]


@register("accounts")
def check_limits(app_configs: object, **_: object) -> list[CheckMessage]:
    """E004: a limit on attempts names no door, or can't be read."""
    messages = [
        f'ACCOUNTS["LIMITS"] knows no "{name}".' for name in settings.ACCOUNTS["LIMITS"].keys() - set(Door.__members__)
    ]
    for door in Door:
        try:
            get_limits(door)
        except ImproperlyConfigured as error:
            messages.append(str(error))
    return [Error(message, hint='See "Attempts" in docs/accounts.md.', id="accounts.E004") for message in messages]


@register("accounts")
def check_bounds(app_configs: object, **_: object) -> list[CheckMessage]:
    """E005: a number breaks what is promised of sessions, tokens, links or passwords."""
    return [
        Error(
            f'ACCOUNTS["{name}"] is {value!r}, but docs/accounts.md promises: {promise}.',
            hint=f"Set it to a whole number, {_say_range(least, most)}.",
            id="accounts.E005",
        )
        for name, least, most, promise in _BOUNDS
        if not _is_within(value := settings.ACCOUNTS[name], least, most)
    ]


@register("accounts")
def check_id_token_algorithms(app_configs: object, **_: object) -> list[CheckMessage]:
    """E006: ID tokens couldn't be signed as clients want them, or as every client can read them."""
    algorithms = settings.ACCOUNTS["ID_TOKEN_ALGORITHMS"]
    if "RS256" in algorithms and {*algorithms} <= _ID_TOKEN_ALGORITHMS:
        return []
    message = 'ACCOUNTS["ID_TOKEN_ALGORITHMS"] must have RS256 (OpenID Connect Core §15.1) and at most ES256 and EdDSA.'
    return [Error(message, id="accounts.E006")]


def _is_within(value: object, least: int, most: int | None) -> bool:
    return isinstance(value, int) and least <= value and (most is None or value <= most)


def _say_range(least: int, most: int | None) -> str:
    return f"at least {least}" if most is None else f"at least {least} and at most {most}"

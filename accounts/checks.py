"""System checks: what the settings must say about breached passwords, and about limits on attempts."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from accounts.conf import get_password_settings
from accounts.passwords.bloom import BloomFilter, BrokenFilterError
from accounts.passwords.lookup import is_acceptable_url
from accounts.throttles.doors import Door, get_limits

_BUILD = "Build it with manage.py build_breached_passwords, or leave BREACHED_PASSWORDS_FILE empty."


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

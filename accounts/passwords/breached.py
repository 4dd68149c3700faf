"""Refusing passwords that are known from breaches."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.core.exceptions import ValidationError

from accounts.conf import get_password_settings
from accounts.passwords.bloom import BloomFilter, BrokenFilterError
from accounts.passwords.lookup import LookupUnavailableError, is_listed

_log = structlog.get_logger("gatehouse.accounts")


class BreachedPasswordValidator:
    """Refuse passwords that stand in the file of breached passwords, or that the service in the settings knows.

    What can't be asked is passed over, or counts as a refusal where ``BREACHED_PASSWORDS_REQUIRED`` is on.
    """

    def validate(self, password: str, user: object = None) -> None:
        """Ask the file, then the service, as far as they are set.

        Raises:
            ValidationError: The password is known; or something that must answer didn't.
        """
        digest = digest_password(password)
        is_unsure = False
        for is_known in _sources():
            answer = is_known(digest)
            if answer:
                message = "This password is known from a leak of another service, so it will be tried. Use another."
                raise ValidationError(message, code="password_breached")
            is_unsure = is_unsure or answer is None
        if is_unsure and get_password_settings().is_breach_check_required:
            message = "This password can't be checked against leaked passwords at the moment. Try again later."
            raise ValidationError(message, code="password_not_checked")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return "A password can't be one that is known from leaks of other services."


def digest_password(password: str) -> bytes:
    """Return the SHA-1 digest by which lists of breached passwords know it; nothing is protected by it."""
    return hashlib.sha1(password.encode(errors="surrogatepass"), usedforsecurity=False).digest()


def _sources() -> Iterator[Callable[[bytes], bool | None]]:
    """Yield what is to be asked; each answers None where it can't say."""
    settings = get_password_settings()
    if path := settings.breached_file:
        yield lambda digest: _is_in_file(digest, path)
    if url := settings.breached_url:
        yield lambda digest: _is_at_service(digest, url)


def _is_in_file(digest: bytes, path: Path) -> bool | None:
    opened = _get_filter(path)
    return None if opened is None else digest in opened


def _is_at_service(digest: bytes, url: str) -> bool | None:
    try:
        return is_listed(digest, url=url)
    except LookupUnavailableError as error:
        _log.warning("breached_passwords_unavailable", source="service", reason=str(error))
        return None


@dataclass(frozen=True, slots=True)
class _Opened:
    """The file as it was when it was opened last; ``filter`` is None where that failed."""

    stamp: tuple[int, int, int] | None
    filter: BloomFilter | None


#: An earlier file stays mapped as long as somebody looks something up in it, and no longer.
_opened: dict[Path, _Opened] = {}


def _get_filter(path: Path) -> BloomFilter | None:
    """Return the filter, opened anew where the file was replaced; None, and one line in the log, where it's no good."""
    stamp = _get_stamp(path)
    known = _opened.get(path)
    if known is None or known.stamp != stamp:
        known = _opened[path] = _Opened(stamp, _open(path))
    return known.filter


def _get_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _open(path: Path) -> BloomFilter | None:
    try:
        return BloomFilter(path)
    except (OSError, BrokenFilterError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _log.error("breached_passwords_unavailable", source="file", path=str(path), reason=reason)
        return None

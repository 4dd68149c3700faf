"""Asking a service whether a password was breached, without telling it which (k-anonymity).

The service has the range API of Have I Been Pwned: it is told 5 of the 40 digits of the SHA-1 digest, and answers with
the rest of all digests that start like this. Answers are padded, so that their length tells nobody on the way.
"""

import time
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import requests

TIMEOUT_SECONDS: Final = 2.0
#: A padded answer has some 40 KB.
MAX_ANSWER_BYTES: Final = 512 * 1024
_CHUNK_BYTES = 16 * 1024
_PREFIX_DIGITS = 5
_HEADERS = {
    "Accept": "text/plain",
    "Accept-Encoding": "identity",  # what is limited is then what is read
    "Add-Padding": "true",
    "User-Agent": "Gatehouse",
}


class LookupUnavailableError(Exception):
    """The service gave no answer that can be used."""


def is_acceptable_url(url: str) -> bool:
    """Say whether this address may be asked: by https, or by http on this machine, and with nothing secret in it."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if not has_host or parts.username or parts.password or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def is_listed(digest: bytes, *, url: str) -> bool:
    """Ask the service at ``url`` about a SHA-1 digest. No other host is asked, whatever it answers.

    Raises:
        LookupUnavailableError: No usable answer came in time.
    """
    if not is_acceptable_url(url):
        message = "the address is not acceptable"
        raise LookupUnavailableError(message)
    digits = digest.hex().upper()
    prefix, rest = digits[:_PREFIX_DIGITS], digits[_PREFIX_DIGITS:].encode()
    try:
        answer = _fetch(f"{url.rstrip('/')}/{prefix}")
    except (requests.RequestException, OSError) as error:
        # Only the kind of error: its text has the address with the prefix in it.
        raise LookupUnavailableError(type(error).__name__) from None
    # Padding is what was seen 0 times.
    return any(
        suffix.strip().upper() == rest and count.strip() not in {b"", b"0"}
        for suffix, _, count in (line.partition(b":") for line in answer.splitlines())
    )


def _fetch(url: str) -> bytes:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no credentials that happen to be in the environment
        with session.get(
            url, headers=_HEADERS, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
        ) as response:
            if response.status_code != HTTPStatus.OK:
                message = f"status {response.status_code}"
                raise LookupUnavailableError(message)
            answer = bytearray()
            while chunk := response.raw.read1(_CHUNK_BYTES):
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    message = "the answer is too long" if len(answer) > MAX_ANSWER_BYTES else "the answer is too slow"
                    raise LookupUnavailableError(message)
    return bytes(answer)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

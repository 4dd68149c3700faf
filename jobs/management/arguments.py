"""Types of command-line arguments, which argparse calls; what they refuse ends the command with exit code 2."""

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from jobs.backoff import MAX_SECONDS
from jobs.drivers.base import get_driver
from jobs.exceptions import UnknownConnectionError
from jobs.options import is_queue_name, is_queue_pattern
from project.processors import count_processors

_UNITS: Final[Mapping[str, timedelta]] = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def queue_name(text: str) -> str:
    """Read the name of a queue."""
    if not is_queue_name(text):
        message = f"{text!r} can't be the name of a queue: 1 to 100 characters without comma or space."
        raise ArgumentTypeError(message)
    return text


def queue_names(text: str) -> list[str]:
    """Read names of queues, comma-separated; one that is named twice counts once."""
    return list(dict.fromkeys(queue_name(part.strip()) for part in text.split(",")))


def queue_patterns(text: str) -> list[str]:
    """Read names of queues, or patterns of them in which ``*`` stands for any characters, comma-separated."""
    patterns = [part.strip() for part in text.split(",")]
    for pattern in patterns:
        if not is_queue_pattern(pattern):
            message = f"{pattern!r} can't be the name of a queue: 1 to 100 characters without comma or space."
            raise ArgumentTypeError(message)
    return list(dict.fromkeys(patterns))


def connection_name(text: str) -> str:
    """Read the name of a connection of ``JOBS["CONNECTIONS"]``."""
    try:
        get_driver(text or "nameless")
    except UnknownConnectionError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def job_id(text: str) -> UUID:
    """Read the id of a job."""
    try:
        return UUID(text)
    except ValueError:
        message = f"{text!r} is not the id of a job; queue_failed lists the ids."
        raise ArgumentTypeError(message) from None


def age_in_hours(text: str) -> timedelta:
    """Read an age of an hour to a hundred years, in hours."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 876_000):
        message = f"{text!r} is not an age of 1 to 876,000 hours."
        raise ArgumentTypeError(message)
    return timedelta(hours=int(text))


def whole_count(text: str) -> int:
    """Read a whole number from 0 to a million."""
    if not (text.isascii() and text.isdigit() and int(text) <= 1_000_000):
        message = f"{text!r} is not a whole number from 0 to 1,000,000."
        raise ArgumentTypeError(message)
    return int(text)


def wait_seconds(text: str) -> float:
    """Read 0 s to a year."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        message = f"{text!r} is not a number of seconds from 0 to 31,536,000."
        raise ArgumentTypeError(message)
    return seconds


def waits(text: str) -> tuple[float, ...]:
    """Read waits of 0 s to a year each, comma-separated."""
    return tuple(wait_seconds(part.strip()) for part in text.split(","))


def positive_count(text: str) -> int:
    """Read a whole number from 1."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000_000):
        message = f"{text!r} is not a whole number from 1."
        raise ArgumentTypeError(message)
    return int(text)


def process_count(text: str) -> int:
    """Read a number of processes from 1 to 1,000, or ``auto``: one for each processor that there is to use."""
    if text == "auto":
        return count_processors()
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000):
        message = f"{text!r} is not a number of processes from 1 to 1,000, nor the word auto."
        raise ArgumentTypeError(message)
    return int(text)


def thread_count(text: str) -> int:
    """Read a number of threads from 1 to 1,000."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000):
        message = f"{text!r} is not a number of threads from 1 to 1,000."
        raise ArgumentTypeError(message)
    return int(text)


def pause_seconds(text: str) -> float:
    """Read a pause of 0.01 s to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.01 <= seconds <= 3600:
        message = f"{text!r} is not a pause of 0.01 to 3600 seconds."
        raise ArgumentTypeError(message)
    return seconds


def pause_duration(text: str) -> timedelta:
    """Read a duration of 1 s to a year, in seconds."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 31_536_000):
        message = f"{text!r} is not a duration of 1 to 31,536,000 seconds."
        raise ArgumentTypeError(message)
    return timedelta(seconds=int(text))


def moment(text: str) -> datetime:
    """Read how long ago (``30m``, ``1h``, ``2d``, ``1w``), or a date or moment; without a zone in that of the house."""
    if found := re.fullmatch(r"(\d{1,5})([smhdw])", text, re.ASCII):
        return timezone.now() - int(found[1]) * _UNITS[found[2]]
    try:
        read = datetime.fromisoformat(text)
        return timezone.make_aware(read) if timezone.is_naive(read) else read.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} is neither an age such as 30m, 1h, 2d or 1w, nor a moment such as 2026-05-31T12:00."
        raise ArgumentTypeError(message) from None


def refresh_seconds(text: str) -> timedelta:
    """Read how often a page is read anew: 0.5 s to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.5 <= seconds <= 3600:
        message = f"{text!r} is not a pause of 0.5 to 3600 seconds."
        raise ArgumentTypeError(message)
    return timedelta(seconds=seconds)

"""What a worker's stores raise while they are away."""

import re
from typing import Final

from django.db import InterfaceError, OperationalError

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.drivers.base import get_driver

#: A single quote that is not the apostrophe of a short form, such as in "couldn't".
_QUOTE: Final = re.compile(r"(?<![A-Za-z])'|'(?!(?:d|ll|m|re|s|t|ve)\b)")


def list_outage_errors() -> tuple[type[Exception], ...]:
    """Return what any store raises that a worker needs when it can't be reached.

    Whatever connection it serves, it keeps heartbeats, batches and failed jobs in the database, locks in the
    coordinator, and sends what follows a job to any connection.
    """
    drivers = [get_driver(name) for name in get_job_settings().connections]
    found = [
        (OperationalError, InterfaceError),
        get_coordinator().outage_errors,
        *(one.outage_errors for one in drivers),
    ]
    return tuple({error for errors in found for error in errors})


def get_reason(error: Exception) -> str:
    """Return what the store says, without what it quotes: that may be the content of a row."""
    first_line = (str(error).splitlines() or [""])[0]
    quotes = [found.start() for found in _QUOTE.finditer(first_line)]
    if not quotes:
        return first_line[:200]
    # What is quoted may hold quotes itself, so the span goes to the last one, and to the end where there is one only.
    end = quotes[-1] + 1 if len(quotes) > 1 else len(first_line)
    return f"{first_line[: quotes[0]]}'…'{first_line[end:]}"[:200]

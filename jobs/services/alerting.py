"""Telling people that jobs wait for too long."""

import secrets
from collections.abc import Sequence
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from jobs.conf import get_job_settings
from jobs.coordination.database import DatabaseCoordinator
from jobs.selectors import describe_long_wait, list_connection_states, list_long_waits, list_outbox_figures
from jobs.signals import LongWaitDetected, long_wait_detected
from project.printable import to_printable

#: Lines of a mail; the rest is counted.
_MAX_LINES: Final = 50
_log: Final = structlog.get_logger("gatehouse.jobs")


def tell_long_waits() -> list[LongWaitDetected]:
    """Log, announce and mail where jobs wait for too long, unless that was told of a moment ago, by any worker.

    Returns:
        What was told.
    """
    found = list_long_waits(states=list_connection_states(), outbox=list_outbox_figures(now=timezone.now()))
    told: list[LongWaitDetected] = []
    try:
        for fact in found:
            if _is_news(fact):
                told.append(fact)
                _tell(fact)
    finally:  # what is noted as told is mailed though the next can't be noted
        if told:
            _mail(told)
    return told


def _tell(fact: LongWaitDetected) -> None:
    _log.warning(
        "long_wait",
        connection=fact.connection,
        queue=fact.queue,
        in_outbox=fact.in_outbox,
        is_paused=fact.is_paused,
        wait_seconds=round(fact.wait.total_seconds()),
        limit_seconds=round(fact.limit.total_seconds()),
    )
    long_wait_detected.announce(fact)


def _is_news(fact: LongWaitDetected) -> bool:
    """Say whether nobody has told of it within the window, and note that it is told now.

    That is noted in the database wherever locks are kept: Redis may be what jobs wait for.
    """
    place = "outbox" if fact.in_outbox else "queue"
    key = f"alerts:{place}:{fact.connection}:{fact.queue}"
    window = get_job_settings().alert_window
    return DatabaseCoordinator({}).acquire(key, owner=secrets.token_hex(8), lifetime=window)


def _mail(facts: Sequence[LongWaitDetected]) -> None:
    """Send one mail about all of them, at once: a job that sent it might wait as well.

    Where the mail server is away, that is logged; what still waits after the window is told again.
    """
    addresses = get_job_settings().alert_emails
    if not addresses:
        return
    first, more = facts[0], len(facts) - 1
    place = f"the outbox of {first.connection}" if first.in_outbox else f"the queue {first.queue}"
    subject = to_printable(f"Jobs wait too long in {place}{f' and {more} more' if more else ''}")
    try:
        EmailMessage(subject=subject, body=_write(facts), to=list(addresses)).send()
    except Exception as error:  # noqa: BLE001 - whatever a mail server says, the worker has other work
        _log.warning("alert_not_mailed", error=type(error).__qualname__)


def _write(facts: Sequence[LongWaitDetected]) -> str:
    lines = [f"- {describe_long_wait(fact)}" for fact in facts[:_MAX_LINES]]
    if (left := len(facts) - _MAX_LINES) > 0:
        lines.append(f"- And {left} more.")
    minutes = get_job_settings().alert_window.total_seconds() / 60
    waits = "\n".join(lines)
    return (
        f"At {settings.BASE_URL} jobs wait for longer than they should.\n\n{waits}\n\n"
        "manage.py queue_health says what is wrong, and what to do.\n"
        f"What still waits is told again after {minutes:g} minutes.\n"
    )

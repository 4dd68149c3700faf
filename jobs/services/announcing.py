"""Telling that jobs were stored."""

from collections.abc import Sequence
from functools import partial

from jobs.drivers.base import Message
from jobs.signals import JobQueued, job_queued
from project.transactions import on_end


def announce_queued(messages: Sequence[Message], *, connection: str) -> None:
    """Say that jobs were stored, once they are."""
    if messages and job_queued.is_heard:
        on_end(commit=partial(_tell_queued, messages, connection))


def _tell_queued(messages: Sequence[Message], connection: str) -> None:
    for message in messages:
        job_queued.announce(
            JobQueued(
                job_id=message.job_id,
                job_class=message.job_class,
                queue=message.queue,
                connection=connection,
                available_at=message.available_at,
            )
        )

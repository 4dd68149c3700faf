"""Jobs that wait for longer than they should, in queues and in the outbox."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from jobs.conf import get_job_settings
from jobs.selectors.connections import ConnectionState
from jobs.selectors.queues import OutboxFigures
from jobs.signals import LongWaitDetected
from project.printable import to_printable


def list_long_waits(
    *, states: Iterable[ConnectionState], outbox: Iterable[OutboxFigures]
) -> Iterator[LongWaitDetected]:
    """Yield where the oldest due job has waited for longer than the settings allow: by queue, and by outbox."""
    settings = get_job_settings()
    for state in states:
        for queue in state.queues:
            limit = settings.long_waits.get(queue.queue, settings.long_wait)
            if limit and queue.oldest_wait is not None and queue.oldest_wait > limit:
                yield LongWaitDetected(
                    connection=state.connection,
                    queue=queue.queue,
                    wait=queue.oldest_wait,
                    limit=limit,
                    is_paused=queue.is_paused,
                )
    for one in outbox:
        if settings.long_wait and one.oldest_wait > settings.long_wait:
            yield LongWaitDetected(
                connection=one.connection, queue="*", wait=one.oldest_wait, limit=settings.long_wait, in_outbox=True
            )


def describe_long_wait(fact: LongWaitDetected) -> str:
    """Return it in words, on one line."""
    connection, wait = to_printable(fact.connection), timedelta(seconds=int(fact.wait.total_seconds()))
    if fact.in_outbox:
        what = f"The oldest job in the outbox for the connection {connection}"
    else:
        what = f"The oldest due job of the queue {to_printable(fact.queue)} of the connection {connection}"
    rests = " The queue rests." if fact.is_paused else ""
    return f"{what} has waited for {wait}; the limit is {fact.limit}.{rests}"

"""Jobs as drivers take them, without a class."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from jobs.drivers.base import Claim, Message, QueueDriver, get_driver
from tests.jobs.steps import NOON, claim_next


def make(name: str = "job", *, queue: str = "default", priority: int = 0, at: datetime = NOON) -> Message:
    return Message(
        job_id=uuid4(),
        queue=queue,
        job_class=name,
        payload=f'{{"it is":"{name} é \\"quoted\\""}}',
        priority=priority,
        available_at=at,
        created_at=NOON,
    )


def push(name: str = "job", *, queue: str = "default", priority: int = 0, at: datetime = NOON) -> Message:
    message = make(name, queue=queue, priority=priority, at=at)
    get_driver().push([message])
    return message


def names_of_all(*queues: str, now: datetime = NOON) -> list[str]:
    """Claim and finish one job after another; return their names."""
    names = []
    while (claim := claim_next(*queues, now=now)) is not None:
        names.append(claim.job_class)
        get_driver().finish(claim)
    return names


def names_of(claims: Sequence[Claim]) -> list[str]:
    return [claim.job_class for claim in claims]


def count_all(driver: QueueDriver) -> int:
    figures = driver.measure(now=NOON).values()
    return sum(one.waiting + one.delayed + one.running for one in figures)

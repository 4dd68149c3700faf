"""The engine with its fence taken out, to see that its absence is noticed. The product has no switch for that.

The end of a try is taken from whoever tells it, whatever lease he has. ``settings`` chooses these drivers; it takes the
lease out, too, by letting it last for ever, and the outbox, which the product can do without.
"""

from collections.abc import Sequence
from typing import Any, override
from uuid import UUID

from rq.defaults import RQ_KEY_PREFIX

from jobs.drivers.base import Claim, Message
from jobs.models import QueuedJob
from tests.faults.witness import WitnessedDatabaseDriver, WitnessedRedisDriver


class FencelessRedisDriver(WitnessedRedisDriver):
    """Redis, where each end bears the lease that holds now."""

    @override
    def exchange(self, done: Sequence[Claim], **options: Any) -> tuple[int, Sequence[Claim]]:  # Any: all go on
        return super().exchange([self._forge(one) for one in done], **options)

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        return super().finish_all([self._forge(one) for one in claims])

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        return super().finish(self._forge(claim), followers=followers)

    def _forge(self, claim: Claim) -> Claim:
        lease: Any = self._scripts.client.hget(f"{RQ_KEY_PREFIX}:job:{claim.job_id}", "lease_id")  # Any: bytes or None
        return claim._replace(lease_id=UUID(lease.decode())) if lease else claim


class FencelessDatabaseDriver(WitnessedDatabaseDriver):
    """The database, where each end bears the lease that holds now."""

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        return super().finish_all([_forge(one) for one in claims])

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        return super().finish(_forge(claim), followers=followers)


def _forge(claim: Claim) -> Claim:
    lease = QueuedJob.objects.filter(job_id=claim.job_id).values_list("lease_id", flat=True).first()
    return claim._replace(lease_id=lease) if lease else claim

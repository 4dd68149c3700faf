"""The driver that keeps jobs in Redis, in the keys of RQ: its tools show them, and its workers can run them.

Each call is one script (``lua/``), so nothing is ever half done, whatever dies in between. What RQ doesn't know (tries,
leases, priorities, pauses) stands in fields of ours in the job's hash, and in keys under ``rq:jobs:``.

What no job can be made of is moved to the list ``rq:jobs:quarantine`` when a worker comes upon it; a key of another
type than ours is renamed, to stand under ``rq:jobs:quarantine:``.

Order: the jobs of one priority stand in a list by due time, then arrival. Jobs that RQ's own tools put there, or put
back, stand where these put them; jobs of others in the same lists are left to the workers of RQ.
"""

import json
import math
import threading
import zlib
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import cache
from itertools import batched
from pathlib import Path
from typing import Any, ClassVar, Final, override
from uuid import UUID, uuid4

import structlog
from rq.defaults import RQ_KEY_PREFIX

from jobs.conf import get_job_settings
from jobs.drivers.base import STEP, Burial, Claim, Message, QueueDriver
from jobs.drivers.failures import remove_failure, store_failure
from jobs.drivers.inventory import MAX_LOOKED_AT, JobSearch, JobState, QueueFigures, StoredJob
from jobs.drivers.listening import Listener, RedisListener
from jobs.drivers.reading import Reader, read_number, read_seconds, to_text
from jobs.drivers.senders import Senders
from jobs.exceptions import PartlySentError, QueueFull
from jobs.redis_line import Value
from jobs.redis_scripts import OURS, OUTAGES, Scripts, from_stamp, to_stamp

#: The function that RQ's workers call.
ENTRY: Final = "jobs.rq_entry.perform"
_FOLDER: Final = Path(__file__).with_name("lua")
_FAILURE_KEPT_SECONDS: Final = 7 * 24 * 3600
#: What the script says where the lease holds; it says no where it doesn't, and something else where all is done.
_HOLDS: Final = 1
#: RQ's alarm rings later than ours.
_TIMEOUT_MARGIN: Final = 15
#: As RQ writes that there is none.
_NO_TIMEOUT: Final = -1
#: What the scripts return of a claimed job.
_FIELDS: Final = (
    "job_id", "queue", "job_class", "payload", "priority", "attempts", "due", "sequence", "born", "crashes",
)  # fmt: skip
_NUMBERS: Final = ("sequence",)
#: What they return of a job that is to be shown, before its state.
_LISTED: Final = (
    "job_id", "queue", "job_class", "payload", "priority", "attempts", "due", "sequence", "born", "crashes", "worker",
)  # fmt: skip
_log = structlog.get_logger("gatehouse.jobs")


class RedisDriver(QueueDriver):
    """Redis or Valkey, through the entry of ``settings.RQ_QUEUES`` that the option ``RQ_QUEUE`` names."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = OUTAGES
    takes_outbox: ClassVar[bool] = True

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:  # Any: those of the settings
        """Take the options; nothing is opened yet."""
        super().__init__(name, options)
        entry = options.get("RQ_QUEUE", "default")
        self._scripts = Scripts(_FOLDER, entry=entry)
        self._brisk_scripts = Scripts(_FOLDER, entry=entry, is_brisk=True)
        self._senders = Senders()
        self._failure_kept = int(options.get("FAILURE_KEPT_SECONDS", _FAILURE_KEPT_SECONDS))

    @override
    def get_now(self) -> datetime:
        return self._brisk_scripts.get_now()

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        if not messages:
            return
        limits = limits or {}
        limited = [value for queue, limit in limits.items() for value in (queue, limit)]
        with self._senders.sending(messages) as sender:
            pushed = (sender.name, sender.count, *self._to_arguments(messages))
            if limits:
                refused = self._run_briskly("push_limited", len(limits), *limited, *pushed)
            else:
                refused = self._run_briskly("push", *pushed)
        if refused:
            queue = refused[0].decode()
            raise QueueFull.named(queue, count=refused[1], max_jobs=limits[queue])

    @override
    def push_many(self, messages: Sequence[Message]) -> None:
        """Store them in steps, the next of which is sent while the server is at work on the one before.

        Where the connection breaks, steps that nobody heard of are sent again, and stored once.
        """
        steps = list(batched(messages, STEP, strict=False))
        stored: list[UUID] = []
        try:
            with ExitStack() as stack:
                # Each has a sender, for one may be refused when the next is on its way.
                senders = (stack.enter_context(self._senders.sending(step)) for step in steps)
                calls = (
                    (RQ_KEY_PREFIX, "", sender.name, sender.count, *self._to_arguments(step))
                    for step, sender in zip(steps, senders, strict=True)
                )
                for step, _ in zip(steps, self._brisk_scripts.run_each("push", calls), strict=True):
                    stored += [message.job_id for message in step]
        except Exception as error:
            if stored:
                raise PartlySentError(stored) from error
            raise

    @override
    def push_once(self, messages: Mapping[UUID, Message], *, forget: Collection[UUID] = ()) -> None:
        keys = (*map(str, forget), str(len(messages)), *map(str, messages))
        self._run_briskly("push_once", len(forget), *keys, *self._to_arguments(messages.values()))

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        return self.exchange([], queues=queues, worker=worker, count=count, now=now)[1]

    @override
    def exchange(
        self, done: Sequence[Claim], *, queues: Sequence[str], worker: str, count: int, now: datetime | None = None
    ) -> tuple[int, Sequence[Claim]]:
        lease_id, seconds = uuid4(), get_job_settings().lease.total_seconds()
        asked: list[Value] = [str(lease_id), worker, count, seconds, len(done), *_fences(done), *queues]
        # Said again, it would take other jobs, and nobody would know of those that it took before.
        values, apart, lost = self._scripts.run("claim", RQ_KEY_PREFIX, to_stamp(now), *asked, is_repeatable=False)
        for entry in apart:
            _log.error("entry_set_apart", entry=ascii(entry), connection=self.name)
        return lost, self._to_claims(values, lease_id, worker)

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        return int(self._run("finish_all", *_fences(claims))) if claims else 0

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        if claims:
            self._run("give_back", *_fences(claims))

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        if not claims:
            return 0
        seconds = get_job_settings().lease.total_seconds()
        return int(self._run("renew_all", seconds, *_fences(claims), now=now))

    def adopt(self, job_id: UUID, *, worker: str) -> Claim | None:
        """Hold a job that a worker of RQ has taken from its list; None where there is no such job.

        Raises:
            LookupError: Somebody else holds it.
        """
        lease_id = uuid4()
        seconds = get_job_settings().lease.total_seconds()
        values = self._run("adopt", str(job_id), str(lease_id), worker, seconds)
        if values == [b"held"]:
            message = f"The job {job_id} is held by another worker."
            raise LookupError(message)
        return self._to_claims(values, lease_id, worker)[0] if values else None

    @override
    def listen(self, queues: Sequence[str]) -> Sequence[Listener]:
        if not get_job_settings().is_notifying:
            return []
        return [RedisListener(queues, client=self._scripts.client, channel=self._scripts.channel)]

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        return bool(self._run("finish", *_fence(claim), _get_asker(claim), *self._to_arguments(followers)))

    @override
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        due = to_stamp(available_at)
        return bool(self._run("release", *_fence(claim), _get_asker(claim), due, payload or "", int(is_unbegun)))

    @override
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        return bool(self._run("renew", *_fence(claim), to_stamp(lease_expires_at), payload or ""))

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        """Write the row first, then let go of the job.

        Whoever dies in between leaves both: the lease lapses, the job is tried again or fails again, and that failure
        takes the row's place. The other way round the failure would be lost.
        """
        if (answer := self._run("bury", *_fence(claim), _get_asker(claim), "0")) != _HOLDS:
            return bool(answer)
        store_failure(claim, burial)
        text = b64encode(zlib.compress((burial.traceback or burial.exception).encode())).decode()
        followers_too = (claim.worker, text, *self._to_arguments(followers))
        if self._run("bury", *_fence(claim), _get_asker(claim), "1", *followers_too):
            return True
        remove_failure(claim, burial)
        return False

    @override
    def forget_failed(self, job_ids: Collection[UUID]) -> None:
        self._run("forget", *(str(one) for one in job_ids))

    @override
    def remove(self, job_ids: Collection[UUID]) -> int:
        return int(self._run("remove", *(str(one) for one in job_ids)))

    @override
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        return int(self._run("clear", *([] if queue is None else [queue]), now=now))

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        figures: dict[str, QueueFigures] = {}
        for name, waiting, delayed, running, oldest, unreadable in batched(
            self._run("measure", now=now), 6, strict=True
        ):
            queue = to_text(name)
            found = QueueFigures(
                waiting=waiting,
                delayed=delayed,
                running=running,
                oldest_due_at=from_stamp(oldest) if oldest else None,
                unreadable=unreadable,
            )
            figures[queue] = figures[queue].add(found) if queue in figures else found
        return dict(sorted(figures.items()))

    @override
    def list_queues(self) -> Sequence[str]:
        return sorted(to_text(name) for name in self._run("queues"))

    @override
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        values = self._run("list", state or "", limit, *([] if queue is None else [queue]), now=now)
        jobs = [_to_stored_job(row) for row in batched(values, len(_LISTED) + 1, strict=True)]
        jobs.sort(key=lambda one: (-one[0].priority, one[0].available_at, one[1]))
        return [job for job, _ in jobs[:limit]]

    @override
    def browse(
        self, search: JobSearch, *, place: int = 0, limit: int = 50, now: datetime | None = None
    ) -> tuple[Sequence[StoredJob], int | None]:
        moments = ("" if moment is None else to_stamp(moment) for moment in (search.since, search.until))
        wanted = (search.state, search.queue or "", search.job_class or "", search.text, *moments)
        values, after = self._run("browse", *wanted, place, limit, MAX_LOOKED_AT, now=now)
        jobs = [_to_stored_job(row)[0] for row in batched(values, len(_LISTED) + 1, strict=True)]
        return jobs, after if isinstance(after, int) else None

    @override
    def find_job(self, job_id: UUID, *, now: datetime | None = None) -> StoredJob | None:
        values = self._run("find", str(job_id), now=now)
        return _to_stored_job(values)[0] if values else None

    @override
    def is_held(self, job_id: UUID) -> bool:
        with suppress(*OUTAGES):
            values = self._run_briskly("find", str(job_id))
            return bool(values) and values[-1] == b"running"
        return False

    @override
    def list_set_apart(self, *, limit: int = 100) -> Sequence[str]:
        entries = self._run("apart", limit)
        return [ascii(entry)[2:-1] for entry in entries]

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        self._scripts.call(lambda client: client.hset(f"{OURS}paused", queue, to_stamp(until)))

    @override
    def resume(self, queue: str) -> bool:
        return bool(self._run("pauses", queue))

    @override
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        rows = batched(self._run_briskly("pauses", now=now), 2, strict=True)
        return dict(sorted((to_text(name), read_seconds(until)) for name, until in rows))

    def _run(self, script: str, *arguments: str | float, now: datetime | None = None) -> Any:  # Any: as Scripts.run
        return self._scripts.run(script, RQ_KEY_PREFIX, to_stamp(now), *arguments)

    def _run_briskly(
        self, script: str, *arguments: str | float, now: datetime | None = None
    ) -> Any:  # Any: as Scripts.run
        return self._brisk_scripts.run(script, RQ_KEY_PREFIX, to_stamp(now), *arguments)

    def _to_arguments(self, messages: Iterable[Message]) -> Iterator[str | float]:
        """Yield what ``push_all`` in ``common.lua`` reads of each job."""
        for message in messages:
            yield str(message.job_id)
            yield message.queue
            yield message.job_class
            yield message.payload
            yield message.priority
            yield "" if message.is_at_once else to_stamp(message.available_at)
            yield to_stamp(message.created_at)
            yield math.ceil(message.timeout_seconds) + _TIMEOUT_MARGIN if message.timeout_seconds else _NO_TIMEOUT
            yield self._failure_kept
            yield _write_call(message.job_class)

    def _to_claims(self, values: Sequence[bytes], lease_id: UUID, worker: str) -> list[Claim]:
        """Return the jobs of one claim, whose moment stands behind them."""
        if not values:
            return []
        claimed_at, lease = from_stamp(values[-1]), get_job_settings().lease
        return [
            Reader(dict(zip(_FIELDS, row, strict=True)), has_seconds=True).read_claim(
                lease_id=lease_id,
                claimed_at=claimed_at,
                lease_expires_at=claimed_at + lease,
                connection=self.name,
                worker=worker,
                numbers=_NUMBERS,
            )
            for row in batched(values[:-1], len(_FIELDS), strict=True)
        ]


def _fence(claim: Claim) -> tuple[str, str]:
    return str(claim.job_id), str(claim.lease_id)


def _get_asker(claim: Claim) -> str:
    """Return who ends a job, and asks again where no answer comes before it ends another one."""
    return f"{claim.worker}:{threading.get_ident()}"


def _fences(claims: Iterable[Claim]) -> Iterator[str]:
    lease_id, lease = None, ""
    for claim in claims:
        if claim.lease_id is not lease_id:  # those that were claimed together share it
            lease_id, lease = claim.lease_id, str(claim.lease_id)
        yield str(claim.job_id)
        yield lease


@cache
def _write_call(job_class: str) -> str:
    """Return the call of the entry as RQ's JSON serializer writes it.

    RQ shows arguments on its pages and in its log; the record, which may hold anything, is therefore none.
    """
    return json.dumps([ENTRY, None, [job_class], {}])


def _to_stored_job(values: Sequence[bytes]) -> tuple[StoredJob, float]:
    *fields, state = values
    stored = dict(zip(_LISTED, fields, strict=True))
    states: Mapping[bytes, JobState] = {b"waiting": "waiting", b"delayed": "delayed", b"running": "running"}
    job = Reader(stored, has_seconds=True).read_stored(state=states[state], numbers=("sequence",))
    return job, read_number(stored["sequence"]) or 0

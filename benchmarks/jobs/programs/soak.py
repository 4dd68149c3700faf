"""Gatehouse, with production settings and the jobs of the soak: sends whole cycles of them, and looks at the store."""

from collections.abc import Iterator
from itertools import count

import django

from benchmarks.jobs.producer import repeat, serve
from benchmarks.jobs.soak.mix import CYCLE, is_doomed, list_numbers

if __name__ == "__main__":
    django.setup()
    from benchmarks.jobs.programs import soak_jobs
    from benchmarks.jobs.programs.house_jobs import KINDS, StampJob
    from benchmarks.jobs.soak.store import look
    from jobs.batch import batch
    from jobs.chain import chain
    from jobs.job import Job, PendingDispatch, dispatch_many

    _firsts = count(step=CYCLE)

    def _make_single(first: int) -> Iterator[Job | PendingDispatch]:
        for number in list_numbers("noop", first):
            yield soak_jobs.SoakDoomedJob(number) if is_doomed(number) else soak_jobs.SoakNoopJob(number)
        for number in list_numbers("incr", first):
            yield soak_jobs.SoakIncrJob(number)
        for number in list_numbers("coroutine", first):
            yield soak_jobs.SoakCoroutineJob(number)
        for number in list_numbers("flaky", first):
            yield soak_jobs.SoakFlakyJob(number)
        for seconds, number in enumerate(list_numbers("delayed", first), start=1):
            yield soak_jobs.SoakNoopJob(number).delay_until(seconds)

    def _send(_kind: str, cycles: int) -> None:
        firsts = [next(_firsts) for _ in range(cycles)]
        dispatch_many(job for first in firsts for job in _make_single(first))
        for first in firsts:
            *members, last = list_numbers("batch", first)
            jobs = [soak_jobs.SoakNoopJob(number) for number in members]
            batch(jobs).name(str(last)).then(soak_jobs.note_batch).dispatch()
            chain([soak_jobs.SoakNoopJob(number) for number in list_numbers("chain", first)]).dispatch()

    serve(
        "gatehouse",
        single=repeat(lambda kind: KINDS[kind].dispatch()),
        bulk=_send,
        stamp=StampJob.dispatch,
        look=lambda is_whole: look(is_whole=is_whole).as_json(),
    )

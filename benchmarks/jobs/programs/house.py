"""Gatehouse, with production settings."""

import django

from benchmarks.jobs.producer import repeat, serve

if __name__ == "__main__":
    django.setup()
    from benchmarks.jobs.programs.house_jobs import KINDS, StampJob
    from jobs.job import dispatch_many

    serve(
        "gatehouse",
        single=repeat(lambda kind: KINDS[kind].dispatch()),
        bulk=lambda kind, count: dispatch_many(KINDS[kind]() for _ in range(count)),
        stamp=StampJob.dispatch,
    )

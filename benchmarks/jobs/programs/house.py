"""Gatehouse, with production settings."""

import django

from benchmarks.jobs.producer import repeat, serve

if __name__ == "__main__":
    django.setup()
    from benchmarks.jobs.programs.house_jobs import KINDS, StampJob
    from jobs.services import send

    def send_bulk(kind: str, count: int) -> None:
        """Send as batches and chains do, by the one function that stores jobs."""
        send([KINDS[kind]().make_record() for _ in range(count)])

    serve(
        "gatehouse",
        single=repeat(lambda kind: KINDS[kind].dispatch()),
        bulk=send_bulk,
        stamp=StampJob.dispatch,
    )

"""Stock workers of RQ that die at a chosen point: ``python -m tests.faults.rq_programs URL POINT QUEUE…``."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final, override

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, SimpleWorker, Worker
from rq.job import Job
from rq.serializers import JSONSerializer


def note(path: str, text: str) -> None:
    """Be a job that appends a line."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def wait(folder: str) -> None:
    """Be a job that waits until there is a file ``go``."""
    note(f"{folder}/started", str(os.getpid()))
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    note(f"{folder}/done", str(os.getpid()))


class DyingWorker(SimpleWorker):
    """Is killed when it has taken a job and not begun it."""

    @override
    def execute_job(self, job: Job, queue: Queue) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class UnluckyWorker(SimpleWorker):
    """Loses its connection when it has written down that a job is done."""

    has_lost = False

    @override
    def handle_job_success(self, *arguments: Any, **options: Any) -> None:  # Any: as RQ has it
        super().handle_job_success(*arguments, **options)
        if not UnluckyWorker.has_lost:
            UnluckyWorker.has_lost = True
            raise RedisConnectionError


POINTS: Final[dict[str, type[Worker] | type[SimpleWorker]]] = {
    "none": SimpleWorker, "pop": DyingWorker, "success": UnluckyWorker, "fork": Worker,
}  # fmt: skip


def main() -> None:
    """Work until the queues are empty, or until death."""
    url, point, *names = sys.argv[1:]
    connection = Redis.from_url(url)
    queues = [Queue(name, connection=connection, serializer=JSONSerializer) for name in names]
    POINTS[point](queues, connection=connection, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")


if __name__ == "__main__":
    main()

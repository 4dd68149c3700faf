"""Run jobs until told to stop."""

import sys
from argparse import ArgumentParser
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Final, override

from django.core.management.base import BaseCommand, CommandError

from jobs.conf import get_job_settings
from jobs.management.arguments import (
    connection_name,
    pause_seconds,
    positive_count,
    process_count,
    queue_name,
    queue_patterns,
    thread_count,
    wait_seconds,
    waits,
    whole_count,
)
from jobs.options import JobOptions, serves_queue
from jobs.queues import describe_unknown_queues, list_isolated_queues
from jobs.worker.groups import Group
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.pool import Pool
from project.processors import list_processors

#: Exit code of a worker that has taken more memory than it may.
EXIT_MEMORY: Final = 12


class Command(BaseCommand):
    """Run jobs, one after another, until SIGTERM or Ctrl-C; the job in hand is finished first."""

    #: What it serves where ``--queue`` isn't said; every queue where that is empty.
    queues: ClassVar[list[str]] = []
    help = (
        "Run jobs, one after another, until SIGTERM or Ctrl-C; the job in hand is finished first. Without --queue it "
        "serves every queue, highest priority first; with --queue a,b a job of b runs only when none of a is due. "
        "Several workers may run at once, of one command with --processes. SIGUSR2 lets it rest, SIGCONT go on. Exit "
        "code: 0 at a normal end (also by a signal, a limit of jobs or time, or a restart), 1 when the worker can't "
        "start, 2 for wrong arguments, 12 when it ended because of --memory."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--queue",
            type=queue_patterns,
            default=self.queues,
            metavar="A,B",
            help="Queues to serve, in order; * stands for any characters, and the queues that it means take turns.",
        )
        parser.add_argument(
            "--connection",
            type=connection_name,
            metavar="NAME",
            help="Connection to serve; JOBS['CONNECTION'] by default.",
        )
        how_many = parser.add_mutually_exclusive_group()
        how_many.add_argument(
            "--processes",
            type=process_count,
            metavar="N|auto",
            help=(
                "Run N processes, or one for each processor, under one parent, which replaces those that die or come "
                "to a limit; --max-jobs, --max-time and --memory hold for each. Without it this process is the worker, "
                "unless it serves queues that isolate their jobs, which need a parent."
            ),
        )
        parser.add_argument(
            "--cpu-affinity",
            action="store_true",
            help=(
                "With --processes, on Linux: let each process, and what its jobs start, keep to one processor. Short "
                "jobs that ask other services are faster so, where there are about as many processes as processors."
            ),
        )
        parser.add_argument(
            "--threads",
            type=thread_count,
            default=0,
            metavar="N",
            help="Run jobs that block in N threads of each process; without it in its main thread, one after another.",
        )
        parser.add_argument(
            "--concurrency",
            type=positive_count,
            metavar="N",
            help="Run up to N jobs with an asynchronous handle() at a time; JOBS['CONCURRENCY'] by default.",
        )
        parser.add_argument(
            "--grace",
            type=wait_seconds,
            metavar="SECONDS",
            help="With --processes: kill a process that takes longer to end; a second signal does so at once.",
        )
        parser.add_argument("--max-jobs", type=positive_count, metavar="N", help="End after N tries.")
        parser.add_argument(
            "--max-time",
            type=positive_count,
            metavar="SECONDS",
            help="End, after the job in hand, when it ran so long.",
        )
        parser.add_argument(
            "--memory", type=positive_count, metavar="MB", help="End, after the job in hand, when it took more memory."
        )
        parser.add_argument("--stop-when-empty", action="store_true", help="End when no job is due.")
        how_many.add_argument("--once", action="store_true", help="Run one job if one is due, then end.")
        parser.add_argument(
            "--sleep",
            type=pause_seconds,
            metavar="SECONDS",
            help="Pause between two looks at an empty queue; JOBS['SLEEP_SECONDS'] by default.",
        )
        parser.add_argument(
            "--rest", type=pause_seconds, metavar="SECONDS", help="Pause after each job; none by default."
        )
        parser.add_argument(
            "--tries",
            type=whole_count,
            metavar="N",
            help="Tries of jobs that don't say it, nor does their queue; 0 for no end; JOBS['TRIES'] by default.",
        )
        parser.add_argument(
            "--backoff",
            type=waits,
            metavar="SECONDS,…",
            help="Waits between such tries; JOBS['BACKOFF'] by default.",
        )
        parser.add_argument(
            "--timeout",
            type=wait_seconds,
            metavar="SECONDS",
            help="Longest run of such a job, 0 for no limit; JOBS['TIMEOUT_SECONDS'] by default.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Write one line of JSON for each event, and nothing else: started, done, released, failed, stopped.",
        )
        parser.add_argument("--name", type=queue_name, help="Name in queue_stats, in place of the host's.")

    @override
    def handle(
        self,
        *,
        queue: list[str],
        processes: int | None,
        grace: float | None,
        once: bool,
        **arguments: Any,  # Any: as declared above
    ) -> None:
        if arguments["cpu_affinity"] and (processes is None or not list_processors()):
            raise CommandError("--cpu-affinity needs --processes, and Linux.", returncode=2)
        self._is_json = bool(arguments["json"])
        options = replace(_make_options(queue, once=once, **arguments), report=self._write if self._is_json else None)
        is_apart = not once and any(serves_queue(options.queues, name) for name in list_isolated_queues())
        if grace is not None and processes is None and not is_apart:
            raise CommandError("--grace needs --processes.", returncode=2)
        if unknown := describe_unknown_queues(queue):
            self._say(unknown)
        if processes is not None or is_apart:
            group = Group(options, size=processes or 1, is_one_worker=processes is None)
            self._run_pool(group, grace=grace)
            return
        worker = Worker(options)
        served = f"the queues {', '.join(queue)}" if queue else "every queue"
        self._say(f"Worker {worker.name} serves {served}. Ctrl-C ends it after the job in hand.")
        with worker.listen_to_signals():
            tries = worker.run()
        reason = " because of --memory" if worker.stop_reason == "memory" else ""
        self._say(f"Worker {worker.name} ended after {tries} {'try' if tries == 1 else 'tries'}{reason}.")
        if worker.stop_reason == "memory":
            sys.exit(EXIT_MEMORY)

    def _run_pool(self, group: Group, *, grace: float | None) -> None:
        options, processes = group.options, group.count()
        pool = Pool([group], grace_seconds=grace, report=options.report)
        served = f"the queues {', '.join(options.queues)}" if options.queues else "every queue"
        noun = "process serves" if processes == 1 else "processes serve"
        self._say(f"{processes} worker {noun} {served}. Ctrl-C ends each after the job in hand.")
        pool.run()
        self._say(f"All worker processes have ended; {pool.crashes} died and were replaced.")

    def _say(self, text: str) -> None:
        """Tell a person, where no program reads along."""
        if not self._is_json:
            self._write(text)

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # a process that is forked must find nothing here that it would write again


def _make_options(
    queue: list[str],
    *,
    connection: str | None,
    name: str | None,
    sleep: float | None,
    rest: float | None,
    max_jobs: int | None,
    max_time: int | None,
    memory: int | None,
    stop_when_empty: bool,
    once: bool,
    tries: int | None,
    backoff: tuple[float, ...] | None,
    timeout: float | None,
    threads: int,
    concurrency: int | None,
    cpu_affinity: bool,
    **_others: object,
) -> WorkerOptions:
    return WorkerOptions(
        queues=tuple(queue),
        connection=connection or "",
        name=name or "",
        sleep=get_job_settings().sleep if sleep is None else timedelta(seconds=sleep),
        rest=timedelta(seconds=rest or 0),
        max_jobs=1 if once else max_jobs,
        max_time=None if max_time is None else timedelta(seconds=max_time),
        memory_mb=memory,
        stop_when_empty=stop_when_empty or once,
        has_keeper=True,
        threads=threads,
        concurrency=concurrency,
        cpu_affinity=cpu_affinity,
        job_options=JobOptions(tries=tries, backoff=backoff, timeout=timeout),
    )

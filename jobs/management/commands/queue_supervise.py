"""Run the supervisors of this host until told to stop."""

import os
import sys
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError

from jobs.exceptions import JobOptionError
from jobs.management.arguments import wait_seconds
from jobs.worker.gauge import LoadBalancer
from jobs.worker.pool import Pool
from jobs.worker.supervisors import Supervisor, find_supervisor, list_supervisor_names


class Command(BaseCommand):
    """Run supervisors, each with its pool of worker processes, under one parent."""

    help = (
        "Run the supervisors of JOBS['SUPERVISORS'], or those that are named, under one parent, until SIGTERM or "
        "Ctrl-C; jobs in hand are finished first, and a second signal kills them. Processes that die or come to a "
        "limit are replaced, and moved to the queues where most work waits. SIGUSR2 lets all rest, SIGCONT go on. "
        "After queue_restart the command starts itself anew, with new code. Exit code: 0 at the end, 1 when it "
        "can't start."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="Supervisors to run; all by default.")
        parser.add_argument(
            "--grace",
            type=wait_seconds,
            metavar="SECONDS",
            help="Kill a process that takes longer to end; a second signal does so at once.",
        )
        parser.add_argument("--json", action="store_true", help="Write one line of JSON for each event, as queue_work.")

    @override
    def handle(self, *, names: list[str], grace: float | None, json: bool, **_others: object) -> None:
        report = self._write if json else None
        try:
            chosen = [find_supervisor(name) for name in dict.fromkeys(names or list_supervisor_names())]
        except KeyError as error:
            known = ", ".join(list_supervisor_names()) or "none"
            message = f"There is no supervisor {error.args[0]!r}; JOBS['SUPERVISORS'] has {known}."
            raise CommandError(message) from None
        except (TypeError, JobOptionError) as error:
            raise CommandError(str(error)) from None
        supervisors = [Supervisor(options, report=report) for options in chosen]
        if not supervisors:
            raise CommandError("JOBS['SUPERVISORS'] has none.")
        if not json:
            for supervisor in supervisors:
                self._write(_describe(supervisor))
        if self._run(supervisors, grace=grace):
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - what we were started with ourselves

    def _run(self, supervisors: list[Supervisor], *, grace: float | None) -> bool:
        """Run until all has ended; say whether it is to be started anew."""
        moving = [one for one in supervisors if not one.is_fixed]
        pool = Pool(
            [group for one in supervisors for group in one.groups.values()],
            grace_seconds=grace,
            report=supervisors[0].report,
            balancer=LoadBalancer(moving) if moving else None,
        )
        pool.run()
        return pool.is_restart_asked

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # a process that is forked must find nothing here that it would write again


def _describe(supervisor: Supervisor) -> str:
    options = supervisor.options
    served = ", ".join(options.queues) or "every queue"
    return (
        f"Supervisor {options.name} serves {served} with {options.min_processes * options.count_groups()} to "
        f"{options.max_processes} processes (balance: {options.balance}). Ctrl-C ends each after the job in hand."
    )

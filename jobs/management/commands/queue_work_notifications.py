"""Run the jobs of the queue notifications until told to stop."""

from typing import ClassVar

from jobs.management.commands.queue_work import Command as QueueWork


class Command(QueueWork):
    """Run the jobs of the queue notifications alone, until SIGTERM or Ctrl-C; the job in hand is finished first."""

    queues: ClassVar[list[str]] = ["notifications"]
    help = (
        "Run the jobs of the queue notifications alone, as queue_work --queue notifications does, with its options. "
        "Exit code: 0 at a normal end, and else as that of queue_work."
    )

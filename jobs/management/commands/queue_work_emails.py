"""Run the jobs of the queue emails until told to stop."""

from typing import ClassVar

from jobs.management.commands.queue_work import Command as QueueWork


class Command(QueueWork):
    """Run the jobs of the queue emails alone, until SIGTERM or Ctrl-C; the job in hand is finished first."""

    queues: ClassVar[list[str]] = ["emails"]
    help = (
        "Run the jobs of the queue emails alone, as queue_work --queue emails does, with its options. "
        "Exit code: 0 at a normal end, and else as that of queue_work."
    )

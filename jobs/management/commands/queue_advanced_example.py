"""Dispatch a large story."""

from typing import override

from jobs.examples import Story, tell_large_story
from jobs.management.commands.queue_example import Command as SmallStory


class Command(SmallStory):
    """Dispatch a large story of jobs."""

    help = (
        "Dispatch a large story: a chain with a batch in it, a batch that is cancelled, limited and urgent jobs, "
        "secure jobs, and failures of several kinds. They touch nothing but the log. Exit code: 0."
    )

    @override
    def tell(self) -> Story:
        return tell_large_story()

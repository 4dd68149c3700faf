"""Jobs and callbacks whose effects are counted in files, because workers are other processes."""

import os
from pathlib import Path
from typing import override

from jobs.batch import Batch, BatchableJob, Failure
from tests.jobs.sample_jobs import append_line

#: Names the folder of the files, in the environment of the workers.
FOLDER = "EXACTNESS_FOLDER"


class CountedJob(BatchableJob):
    """Write down that it ran; every so many fail."""

    tries = 1

    def __init__(self, batch_number: int, number: int, is_broken: bool) -> None:
        self.batch_number = batch_number
        self.number = number
        self.is_broken = is_broken

    @override
    def handle(self) -> None:
        note("runs", f"{self.batch_number} {self.number}")
        if self.is_broken:
            raise ValueError(f"{self.batch_number} {self.number}")


def note(name: str, text: str) -> None:
    """Append a line to one of the files."""
    append_line(str(Path(os.environ[FOLDER]) / name), text)


def on_progress(found: Batch) -> None:
    """Write down that a batch got on."""
    note("progress", found.name)


def on_then(found: Batch) -> None:
    """Write down that all of a batch went well."""
    note("then", found.name)


def on_catch(found: Batch, failure: Failure) -> None:
    """Write down the first failure of a batch."""
    note("catch", found.name)


def on_failure(found: Batch, failure: Failure) -> None:
    """Write down a failure of a batch."""
    note("failure", f"{found.name} {failure.message}")


def on_finally(found: Batch) -> None:
    """Write down the end of a batch, with its counts."""
    note("finally", f"{found.name} {found.total_jobs} {found.pending_jobs} {found.failed_jobs}")

"""Fakes for tests: jobs are taken instead of sent, and looked at, and run when the test says so.

With ``pytest_plugins = ["jobs.testing"]`` in ``conftest.py`` the fixture ``jobs_fake`` is there::

    def test_a_new_customer_is_welcomed(jobs_fake):
        register("ada@example.com")
        jobs_fake.assert_dispatched(SendEmailJob, where=lambda job: job.to_email == "ada@example.com")
        assert jobs_fake.run_pending() == 1
"""

from collections.abc import Iterable, Iterator

import pytest

from jobs.testing.fake import Choice, JobsFake
from jobs.testing.interactions import FakeQueue, fake_queue
from jobs.testing.matching import assert_has_chain, assert_has_no_chain, has_jobs, like, like_batch

__all__ = [
    "FakeQueue",
    "JobsFake",
    "assert_has_chain",
    "assert_has_no_chain",
    "fake_jobs",
    "fake_queue",
    "has_jobs",
    "jobs_fake",
    "like",
    "like_batch",
]


def fake_jobs(*, only: Iterable[Choice] = (), except_: Iterable[Choice] = ()) -> JobsFake:
    """Return what takes jobs within its block: all, or some; see ``JobsFake``."""
    return JobsFake(only=only, except_=except_)


@pytest.fixture
def jobs_fake() -> Iterator[JobsFake]:
    """Take all jobs that are dispatched in the test."""
    with JobsFake() as fake:
        yield fake

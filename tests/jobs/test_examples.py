"""The two stories, told and worked off."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from jobs.batch import find_batch
from jobs.models import FailedJob
from tests.jobs.steps import drain


@pytest.mark.parametrize("command", ["queue_example", "queue_advanced_example"])
def test_a_story_is_told_and_ends(command: str, job_connection: str) -> None:
    out = StringIO()
    call_command(command, "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert drain(now=None) >= told["jobs"] - 3
    assert FailedJob.objects.filter(job_class="jobs.HopelessJob").count() == 1
    for batch_id in told["batches"]:
        batch = find_batch(batch_id)
        assert batch is not None
        assert batch.is_cancelled


def test_the_secret_of_the_large_story_stays_one(job_connection: str) -> None:
    call_command("queue_advanced_example", stdout=StringIO())
    drain(now=None)
    failed = FailedJob.objects.get(job_class="jobs.PayslipJob")
    assert "No bank has the account" in failed.exception
    assert "1203 0" not in failed.exception + failed.traceback + failed.payload

"""Somebody who can write the store, and nothing else."""

import json
from typing import Any
from uuid import UUID

from redis import Redis

from jobs.drivers.base import get_driver
from jobs.models import QueuedJob
from jobs.redis_scripts import OURS
from tests.jobs.steps import stored_one


def write_store(job_id: UUID, /, **values: Any) -> None:  # Any: of several types
    """Change what the connection keeps of a job beside its record, or the record, behind everybody's back."""
    if get_driver().name == "database":
        assert QueuedJob.objects.filter(job_id=job_id).update(**values) == 1
        return
    from django_rq import get_connection  # noqa: PLC0415 - reads its settings at import

    redis = get_connection("default")
    for name, value in values.items():
        match name:
            case "queue":
                _move(redis, job_id, value, str(job_id))
            case "priority":
                redis.zadd(f"{OURS}lines:default", {str(value): value})
                _move(redis, job_id, f"default:p{value}", str(job_id))
            case "job_id":
                redis.rename(f"rq:job:{job_id}", f"rq:job:{value}")
                _move(redis, job_id, "default", str(value))
            case _:
                redis.hset(f"rq:job:{job_id}", name, value)


def _move(redis: "Redis", job_id: UUID, line: str, name: str) -> None:
    """Take a job out of the list in which it waits, and put it into another one."""
    assert redis.lrem("rq:queue:default", 1, str(job_id)) == 1
    redis.rpush(f"rq:queue:{line}", name)
    redis.sadd(f"{OURS}queues", line.partition(":p")[0])


def edit_record(**changes: Any) -> UUID:  # Any: JSON
    """Change the record of the one job that waits, and leave its signature as it is; return its id."""
    job = stored_one()
    write_store(job.job_id, payload=json.dumps(json.loads(job.payload) | changes))
    return job.job_id

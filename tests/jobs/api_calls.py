"""What can be asked of the API of jobs, and who asks."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

ROOT = "/api/v1/jobs/"
SEE = "jobs.view_dashboard"
NOBODY = UUID(int=7)


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked, and the right that it takes."""

    method: str
    path: str
    right: str = SEE

    def ask(self, client: APIClient, data: object = None) -> Any:  # Any: the answer of the test client
        return getattr(client, self.method)(f"{ROOT}{self.path}", data)


READING = [
    Operation("get", path)
    for path in (
        "", "stats", "queues", "workers", "failed", "batches", "metrics", "schedules", f"{NOBODY}",
        f"batches/{NOBODY}", "?status=failed", "?status=done",
    )
]  # fmt: skip
CHANGING = [
    Operation("post", "queues/pause", "jobs.add_queuepause"),
    Operation("post", "queues/resume", "jobs.delete_queuepause"),
    Operation("post", "workers/w/wish", "jobs.change_workerheartbeat"),
    Operation("post", "failed/retry", "jobs.change_failedjob"),
    Operation("post", "failed/discard", "jobs.delete_failedjob"),
    Operation("post", f"{NOBODY}/retry", "jobs.change_failedjob"),
    Operation("post", f"{NOBODY}/cancel", "jobs.delete_queuedjob"),
    Operation("delete", f"{NOBODY}", "jobs.delete_failedjob"),
    Operation("post", f"batches/{NOBODY}/cancel", "jobs.change_batch"),
    Operation("post", f"batches/{NOBODY}/retry", "jobs.change_failedjob"),
]
ALL = READING + CHANGING
RIGHTS = {one.right for one in ALL}


def let(client: APIClient, *rights: str) -> APIClient:
    """Let somebody ask who holds these rights."""
    user = get_user_model().objects.create(email=f"{uuid4()}@example.com")
    user.give_permission_to(*rights)
    client.force_authenticate(user)
    return client


@pytest.fixture(name="reader")
def reader_fixture(api_client: APIClient, db: None) -> APIClient:
    return let(api_client, SEE)


@pytest.fixture(name="root")
def root_fixture(api_client: APIClient, db: None) -> APIClient:
    api_client.force_authenticate(get_user_model().objects.create_superuser("root@example.com", "x"))
    return api_client


def fields_of(response: Any) -> set[str]:  # Any: as above
    """Return the fields that a refusal names."""
    assert response.status_code == 400, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    return {one["field"] for one in response.json()["errors"]}

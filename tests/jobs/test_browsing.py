"""Looking for jobs among those that a connection holds, a page at a time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobs.drivers.base import get_driver
from jobs.drivers.inventory import JobSearch, JobState, StoredJob
from tests.jobs.messages import make
from tests.jobs.steps import NOON, claim_one

MINUTE = timedelta(minutes=1)


def put(queue: str = "default", *, job_class: str = "c", payload: str = "", late: timedelta = timedelta(0)) -> UUID:
    message = replace(make(job_class, queue=queue, at=NOON + late), payload=payload or "{}")
    get_driver().push([message])
    return message.job_id


def browse(state: JobState = "waiting", *, limit: int = 3, **wanted: Any) -> list[StoredJob]:  # Any: fields
    """Return all that is looked for, page by page."""
    search = JobSearch(state=state, **wanted)
    found: list[StoredJob] = []
    place: int | None = 0
    while place is not None:
        page, place = get_driver().browse(search, place=place, limit=limit, now=NOON)
        assert len(page) <= limit
        found += page
    return found


def ids(jobs: list[StoredJob]) -> list[UUID]:
    return [job.job_id for job in jobs]


def test_pages_cover_all_jobs_of_a_state_once(job_connection: str) -> None:
    wanted = [put(f"q{number % 3}", late=-number * MINUTE) for number in range(10)]
    later = [put(late=MINUTE * number) for number in range(1, 5)]
    running = claim_one("q0", now=NOON).job_id
    assert sorted(ids(browse()), key=str) == sorted(set(wanted) - {running}, key=str)
    assert ids(browse("delayed")) == later
    assert ids(browse("running")) == [running]
    assert {job.state for job in browse("delayed")} == {"delayed"}


def test_a_page_of_one_queue_stands_in_the_order_of_claims(job_connection: str) -> None:
    last, first = put(late=-MINUTE), put(late=-5 * MINUTE)
    assert ids(browse(queue="default")) == [first, last]


@pytest.mark.parametrize(
    ("words", "place"),
    [({"queue": "b"}, 1), ({"job_class": "d"}, 2), ({"text": '"tag"'}, 3), ({"until": NOON - MINUTE}, 4)],
)
def test_jobs_are_found_by_what_is_said_of_them(
    words: dict[str, Any], place: int, job_connection: str
) -> None:  # Any: fields
    jobs = [
        put(),
        put("b"),
        put(job_class="d"),
        put(payload='["tag"]'),
        put(late=-2 * MINUTE),
        put(payload='["TAG"]'),
    ]
    assert ids(browse(**words)) == [jobs[place]]


def test_jobs_are_found_by_when_they_are_due(job_connection: str) -> None:
    jobs = [put(late=number * MINUTE) for number in range(1, 6)]
    assert ids(browse("delayed", since=NOON + 2 * MINUTE, until=NOON + 4 * MINUTE)) == jobs[1:3]


def test_a_job_whose_lease_has_lapsed_is_found_where_it_waits(job_connection: str) -> None:
    job_id = put(late=-MINUTE)
    claim_one(now=NOON - MINUTE)
    assert ids(browse()) == [job_id]
    found = get_driver().find_job(job_id, now=NOON)
    assert found is not None
    assert found.state == "waiting"


def test_a_job_is_found_by_its_id_in_each_state(job_connection: str) -> None:
    waiting, delayed, running = put(), put(late=MINUTE), put("other")
    claim_one("other", now=NOON)
    driver = get_driver()
    states = [found.state for one in (waiting, delayed, running) if (found := driver.find_job(one, now=NOON))]
    assert states == ["waiting", "delayed", "running"]
    assert driver.find_job(uuid4(), now=NOON) is None


def test_a_job_that_failed_is_not_among_those_that_wait(job_connection: str) -> None:
    put()
    claim = claim_one(now=NOON)
    get_driver().finish(claim)
    assert get_driver().find_job(claim.job_id, now=NOON) is None

"""The pages and the API of jobs among a million jobs on PostgreSQL: how long each takes, and how much it asks.

900,000 jobs that are done, 50,000 that failed and 50,000 that wait, with a day of figures by the minute and a month of
figures by the hour. The process that measures has PostgreSQL as its only database, so it runs apart from the others.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from statistics import quantiles
from time import perf_counter, process_time
from typing import LiteralString
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from benchmarks.harness import Figure
from benchmarks.postgresql import make_database
from jobs.drivers.base import Message, get_driver
from jobs.models import FailedJob
from jobs.services import EndedTry, MetricKey, TryFigures, add_metrics, add_tries, record_heartbeat

#: How often each address is asked.
_ROUNDS = 40
_GOAL_MS, _GOAL_QUERIES, _GOAL_PERCENT = 300.0, 15, 1.0
#: How often pages read themselves anew where nobody chooses otherwise, in seconds.
_REFRESH = 5
_JOBS = 1_000_000


def measure() -> list[Figure]:
    """Measure in a process of its own, on a database of its own."""
    with make_database() as url:
        code = "import django; django.setup(); from benchmarks.dashboards import main; main()"
        environment = os.environ | {"DATABASE_URL": url, "ALLOWED_HOSTS": "localhost,testserver"}
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True
        )
    return [Figure(**row) for row in json.loads(done.stdout)]


def main() -> None:
    """Fill the database of ``DATABASE_URL``, measure, print the figures as JSON."""
    call_command("migrate", verbosity=0)
    _fill()
    json.dump([dataclasses.asdict(figure) for figure in _measure()], sys.stdout)


def _fill() -> None:
    now = timezone.now()
    add_tries(
        [
            EndedTry(
                job_id=uuid4(), connection="database", queue="q0", job_class="shop.Job0", state="done", attempt=1,
                worker="host:1:ff", started_at=now, wait=timedelta(0), run=timedelta(seconds=0.1), ended_at=now,
                dispatched_at=now, tags=["shop.order:0"],
            )
        ]
    )  # fmt: skip
    FailedJob.objects.create(
        job_id=uuid4(), queue="q0", job_class="shop.Job0", payload="{}", attempts=3, exception="ValueError: no 0",
        traceback="line\n" * 40, failed_at=now, context={"tags": ["shop.order:0"], "worker": "host:1:ff"},
    )  # fmt: skip
    message = Message(
        job_id=uuid4(), queue="q0", job_class="shop.Job0", payload='{"tags":["shop.order:0"]}', priority=0,
        available_at=now, created_at=now,
    )  # fmt: skip
    get_driver().push([message])
    _run(
        # A row that the ORM wrote is the pattern, so that this follows every column that the tables get.
        """
        INSERT INTO job_tries SELECT made.* FROM job_tries pattern, generate_series(1, 900000) n,
            LATERAL jsonb_populate_record(pattern, jsonb_build_object(
            'id', nextval(pg_get_serial_sequence('job_tries', 'id')), 'job_id', gen_random_uuid(),
            'queue', 'q' || n % 10, 'job_class', 'shop.Job' || n % 50, 'ended_at', now() - n * interval '4 ms',
            'is_silenced', n % 20 = 0
        )) made
        WHERE pattern.id = (SELECT min(id) FROM job_tries)
        """,
        "INSERT INTO job_tags (one_try_id, tag) SELECT id, 'shop.order:' || id % 100000 FROM job_tries",
        """
        INSERT INTO failed_jobs SELECT made.* FROM failed_jobs pattern, generate_series(1, 50000) n,
            LATERAL jsonb_populate_record(pattern, jsonb_build_object(
            'id', nextval(pg_get_serial_sequence('failed_jobs', 'id')), 'job_id', gen_random_uuid(),
            'queue', 'q' || n % 10, 'job_class', 'shop.Job' || n % 50, 'failed_at', now() - n * interval '1 s',
            'exception', 'ValueError: no ' || n, 'retried_at', CASE WHEN n % 5 = 0 THEN now() END,
            'context', jsonb_build_object('tags', jsonb_build_array('shop.order:' || n % 1000))
        )) made
        WHERE pattern.id = (SELECT min(id) FROM failed_jobs)
        """,
        """
        INSERT INTO jobs SELECT made.* FROM jobs pattern, generate_series(1, 50000) n,
            LATERAL jsonb_populate_record(pattern, jsonb_build_object(
            'id', nextval(pg_get_serial_sequence('jobs', 'id')), 'job_id', gen_random_uuid(),
            'queue', 'q' || n % 10, 'job_class', 'shop.Job' || n % 50,
            'available_at', now() + (n % 5 - 4) * interval '1 hour'
        )) made
        WHERE pattern.id = (SELECT min(id) FROM jobs)
        """,
        """
        INSERT INTO job_batches SELECT gen_random_uuid(), 'Batch ' || n, 100, n % 100, n % 3, 0, '{}',
            now() - n * interval '1 minute', NULL, NULL FROM generate_series(1, 5000) n
        """,
    )
    _fill_figures()
    for number in range(20):
        record_heartbeat(
            name=f"host:{number}:ff", queues=[], started_at=now, now=now, alive_until=now + timedelta(hours=9),
            current_job_id=None,
        )  # fmt: skip
    _run("ANALYZE")


def _fill_figures() -> None:
    """Write a day by the minute, and a month by the hour, of ten queues with five classes each."""
    figures = TryFigures(processed=20)
    for _ in range(20):
        figures.note_times(run=0.02, wait=0.5)
    minute = timezone.now().replace(second=0, microsecond=0)
    for hours in range(24 * 31):
        gathered = {
            MetricKey(minute - hours * timedelta(hours=1), "database", f"q{one % 10}", f"shop.Job{one}"): figures
            for one in range(50)
        }
        add_metrics(gathered=gathered)
    columns = "period_seconds, connection, queue, job_class, processed, run_seconds, wait_seconds, max_run_seconds"
    buckets = ", ".join(f"{kind}_bucket_{number}" for kind in ("run", "wait") for number in range(17))
    others = "released, failed, timed_out, max_wait_seconds"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO job_metrics (begins_at, {columns}, {buckets}, {others})
            SELECT begins_at - n * interval '1 minute', {columns}, {buckets}, {others}
            FROM job_metrics, generate_series(1, 59) n
            WHERE period_seconds = 60 AND begins_at > now() - interval '24 hours' ON CONFLICT DO NOTHING
            """  # noqa: S608 - names of our own columns
        )


def _run(*statements: LiteralString) -> None:
    with connection.cursor() as cursor:
        for one in statements:
            cursor.execute(one)


def _measure() -> Iterator[Figure]:
    root = get_user_model().objects.create_superuser(email="root@example.com", name="R", password="x" * 20)
    client, api = Client(), APIClient()
    client.force_login(root)
    api.force_authenticate(root)
    rows = [_ask(client, address) for address in list(_list_addresses(client))]
    rows += [_ask(api, address) for address in _list_api()]
    for name, slow, count in rows:
        yield Figure(
            name=f"{name}, {count} queries, 95 % within", value=round(slow, 1), unit="ms", goal=_GOAL_MS,
            is_less_better=True,
        )  # fmt: skip
    yield Figure(
        name="queries of what asks most", value=max(count for _, _, count in rows), unit="",
        goal=_GOAL_QUERIES - 1, is_less_better=True,
    )  # fmt: skip
    yield _measure_cost(client)


def _ask(client: Client | APIClient, address: str) -> tuple[str, float, int]:
    """Return the address without what only this run knows, what 95 of 100 answers take at most, and the queries."""
    client.get(address)  # what only the first time costs
    with CaptureQueriesContext(connection) as asked:
        client.get(address)
        count = len(asked)
    taken = []
    for _ in range(_ROUNDS):
        started = perf_counter()
        response = client.get(address)
        taken.append((perf_counter() - started) * 1e3)
        assert response.status_code == 200, (address, response.status_code)  # noqa: S101 - a refusal is quick
    return re.sub(r"cursor=.*|[0-9a-f-]{36}", "…", address), quantiles(taken, n=20)[-1], count


def _list_api() -> Iterator[str]:
    base = reverse("jobs_api:jobs")
    yield from (base + name for name in ("stats", "queues", "workers", "failed", "batches", "metrics", "schedules"))
    yield from (f"{base}?status={status}" for status in ("waiting", "delayed", "running", "done", "failed", "silenced"))
    yield f"{base}?status=failed&queue=q7&tag=shop.order:77&exception=no"
    yield base + str(FailedJob.objects.values_list("job_id", flat=True)[0])


def _list_addresses(client: Client) -> Iterator[str]:
    base = reverse("dashboard:overview")
    yield from (base + name for name in ("", "workers/", "batches/", "schedules/", "metrics/"))
    yield from (f"{base}metrics/?span={span}" for span in ("6h", "24h", "7d", "31d"))
    for status in ("waiting", "delayed", "running", "done", "failed", "silenced"):
        listed = f"{base}list/{status}/"
        yield listed
        yield f"{listed}?queue=q7&job_class=shop.Job27"
        yield f"{listed}?queue=q7&job_class=shop.Job28"  # of which there is none
        yield f"{listed}?tag=shop.order:77"
    yield f"{base}list/failed/?exception=no+4242"
    yield f"{base}list/done/?since=2020-01-01T00:00&until=2020-01-02T00:00"
    for status in ("waiting", "done", "failed"):
        yield _find_deep_page(client, f"{base}list/{status}/")
    yield f"{base}list/failed/retry/"
    yield reverse("dashboard:job", args=[FailedJob.objects.values_list("job_id", flat=True)[0]])


def _find_deep_page(client: Client, address: str, *, depth: int = 20) -> str:
    """Return the address of a later page."""
    for _ in range(depth):
        page = client.get(address).content.decode()
        _, _, rest = page.partition('<nav class="jobs-pages"')
        links = [left.rpartition('href="')[2] for left, _ in pairwise(rest.split('">Next page'))]
        address = address.partition("?")[0] + links[0].replace("&amp;", "&")
    return address


def _measure_cost(client: Client) -> Figure:
    """Return what one open overview takes of a core, its database not included."""
    address = reverse("dashboard:overview")
    started = process_time()
    for _ in range(_ROUNDS):
        client.get(address)
    percent = (process_time() - started) / _ROUNDS / _REFRESH * 100
    return Figure(
        name="an overview that is open, of a core", value=round(percent, 2), unit="%", goal=_GOAL_PERCENT,
        is_less_better=True,
    )  # fmt: skip

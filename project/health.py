"""Probes: ``/healthz`` says the process answers, ``/readyz`` that it can do its work."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import TypedDict
from uuid import uuid4

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from jobs.selectors import get_queue_health

_log = structlog.get_logger("gatehouse.health")


class Check(TypedDict):
    """What ``/readyz`` says about one part; ``reason`` is empty where all is well, and names no host."""

    ok: bool
    reason: str


@csrf_exempt
@cache_control(no_store=True)
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process lives; touches nothing else."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@cache_control(no_store=True)
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, cache and queue work, 503 with the reasons otherwise."""
    checks = {
        "database": _run(_check_database, name="database"),
        "cache": _run(_check_cache, name="cache"),
    }
    # The queue lives in the database: asking again would only double the wait for a dead one.
    checks["queue"] = (
        _run(_check_queue, name="queue")
        if checks["database"]["ok"]
        else Check(ok=False, reason="Not checked, because the database failed.")
    )
    is_ready = all(check["ok"] for check in checks.values())
    return JsonResponse(
        {"status": "ok" if is_ready else "failing", "checks": checks},
        status=HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _run(check: Callable[[], str], *, name: str) -> Check:
    """Return what a check found; an exception is a finding too."""
    try:
        reason = check()
    except Exception as error:  # noqa: BLE001 - whatever a store raises, the probe must answer
        # The text of the error may hold addresses; it is for the log alone.
        _log.warning("check failed", check=name, error=repr(error))
        reason = "It does not answer."
    return Check(ok=not reason, reason=reason)


def _check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return ""


def _check_cache() -> str:
    key, value = f"readyz:{uuid4().hex}", "kept"
    cache.set(key, value, timeout=10)
    kept = cache.get(key)
    cache.delete(key)
    return "" if kept == value else "It does not keep what it is given."


def _check_queue() -> str:
    health = get_queue_health(now=timezone.now())
    limit = timedelta(seconds=settings.JOBS["MAX_WAIT_SECONDS"])
    if not health.worker_count:
        return "No worker is alive."
    if health.oldest_wait is not None and health.oldest_wait > limit:
        return f"A job has waited longer than {limit.total_seconds():.0f} seconds."
    return ""

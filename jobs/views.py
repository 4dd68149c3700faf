"""What programs other than clients of the API ask for: the figures, as Prometheus reads them."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from jobs.conf import get_job_settings
from jobs.prometheus import render_metrics
from permissions.scope import use_team
from project.api import problem_response


@cache_control(no_store=True)
@vary_on_headers("Accept", "Authorization", "Cookie")
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the figures, to whoever sends the token of the settings or may see the dashboard."""
    refusal = _refuse(request)
    if refusal is not None:
        return refusal
    content_type, body = render_metrics(accept=request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


@use_team(None)  # jobs belong to the whole house, so what one may in one team opens nothing
def _refuse(request: HttpRequest) -> HttpResponse | None:
    """Return how who may not see the figures is told so; a header ``Authorization`` alone counts where there is one."""
    if "Authorization" in request.headers:
        if _is_token(request.headers["Authorization"]):
            return None
    elif request.user.is_authenticated:
        if request.user.has_perm("jobs.view_dashboard"):
            return None
        detail = "You need the permission to view the dashboard of jobs."
        return problem_response(status=HTTPStatus.FORBIDDEN, code="permission_denied", detail=detail)
    detail = "Send the token of METRICS_TOKEN as a bearer token, or sign in."
    response = problem_response(status=HTTPStatus.UNAUTHORIZED, code="not_authenticated", detail=detail)
    response["WWW-Authenticate"] = "Bearer"
    return response


def _is_token(header: str) -> bool:
    scheme, _, token = header.partition(" ")
    wanted = get_job_settings().metrics_token
    return bool(wanted) and scheme.lower() == "bearer" and constant_time_compare(token.strip(), wanted)

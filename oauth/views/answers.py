"""How pages answer: to the client at its address, or to the person."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from oauth2_provider.http import OAuth2ResponseRedirect
from oauthlib.oauth2.rfc6749 import errors

from oauth.authorization import AuthorizationResponse
from oauth.models import Application, is_plain_origin
from oauth.selectors import get_active_client

#: Parameter of the addresses that come back from signing in.
ASKED: Final = "asked"
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def keep_out_of_caches(response: HttpResponseBase) -> HttpResponseBase:
    """Say that an answer, which carries codes and names, is to be kept nowhere."""
    for name, value in _NO_STORE.items():
        response[name] = value
    return response


def redirect_out(uri: str) -> HttpResponseBase:
    """Redirect to an address that was verified before."""
    answer: HttpResponseBase = OAuth2ResponseRedirect(uri, ["https", "http"])
    return answer


def answer_client(
    request: HttpRequest, response: AuthorizationResponse, client: Application | None
) -> HttpResponseBase:
    """Send the browser to the client with what it is told: in the address, or in a form that the browser posts.

    After signing in it isn't redirected but told to go there: Chromium would hold the policy of the page for signing
    in, whose form leads nowhere else, against the redirect to the client.
    """
    context = {"response": response, "redirect_host": urlsplit(response.redirect_uri).netloc}
    if not response.is_form_post and ASKED in request.GET:
        return render(request, "oauth/sent_back.html", context)
    if not response.is_form_post:
        return redirect_out(response.address)
    return render_form_to_client(
        request, "oauth/form_post.html", context, redirect_uri=response.redirect_uri, client=client
    )


def answer_error(request: HttpRequest, error: errors.OAuth2Error, *, may_ask: bool = False) -> HttpResponseBase:
    """Tell the client at its verified address, or the person where there is none (RFC 6749 §4.1.2.1).

    A client that was switched off just now is told nothing.

    ``may_ask`` says that the person has decided nothing yet and may be shown a page: then it is up to them whether they
    go to a client that the house doesn't vouch for (RFC 9700 §4.11.2).
    """
    client = get_active_client(client_id=error.client_id or "") if error.redirect_uri else None
    if isinstance(error, errors.FatalClientError) or not error.redirect_uri or client is None:
        context = {"error": error.error, "description": error.description}
        return render(request, "oauth/error.html", context, status=HTTPStatus.BAD_REQUEST)
    response = AuthorizationResponse.from_error(error, error.redirect_uri)
    if may_ask and not client.is_vouched_for:
        return _ask_before_leaving(request, response, client)
    return answer_client(request, response, client)


def refuse_attempt(request: HttpRequest, wait: int) -> HttpResponse:
    """Say that there were too many attempts, and how many seconds to wait."""
    response = render(request, "accounts/too_many_attempts.html", {"wait": wait}, status=HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = str(wait)
    return response


def render_form_to_client(
    request: HttpRequest, template: str, context: dict[str, object], *, redirect_uri: str, client: Application | None
) -> HttpResponseBase:
    """Render a page whose form ends at the client's address.

    Chromium holds ``form-action`` against each redirect that follows a form, so the client's other addresses are let
    through as well: its callback may go on to one of them. What can't stand in a policy as it is, is left out.
    """
    others = [*client.redirect_uris.split(), *client.allowed_origins.split(), client.homepage_url] if client else []
    sources = dict.fromkeys(filter(None, map(_get_source, [redirect_uri, *others])))
    policy: dict[str, Any] = {**settings.SECURE_CSP, "form-action": [CSP.SELF, *sources]}  # Any: Django's own shape
    page: HttpResponseBase = csp_override(policy)(render)(request, template, context)
    return page


def _ask_before_leaving(request: HttpRequest, response: AuthorizationResponse, client: Application) -> HttpResponseBase:
    context: dict[str, object] = {
        "response": response,
        "application": client,
        "owner": client.user,
        "redirect_host": urlsplit(response.redirect_uri).netloc,
    }
    page = render_form_to_client(
        request, "oauth/leave.html", context, redirect_uri=response.redirect_uri, client=client
    )
    page.status_code = HTTPStatus.BAD_REQUEST
    return page


def _get_source(uri: str) -> str:
    """Return an address as a policy names it, or nothing; a host source can't be an IPv6 address."""
    target = urlsplit(uri)
    origin = f"{target.scheme}://{target.netloc}"
    if not is_plain_origin(origin):
        return ""
    return f"{target.scheme}:" if "[" in target.netloc else origin

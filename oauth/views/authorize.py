"""The authorization endpoint, with its consent page."""

from http import HTTPStatus
from typing import Any, override
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.generic import View
from oauth2_provider.http import OAuth2ResponseRedirect
from oauthlib.common import add_params_to_uri
from oauthlib.oauth2.rfc6749 import errors

from accounts.middleware import get_browser_session
from oauth import services
from oauth.backends import AuthorizationRequest, add_issuer, get_backend, read_parameters
from oauth.models import is_loopback
from oauth.scopes import describe_scopes

#: How long a consent page may stay open, in seconds.
CONSENT_SECONDS = 3600
_CONSENT_SALT = "oauth.consent"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class AuthorizeView(View):
    """The authorization endpoint (RFC 6749 §3.1): ask the person, then send the answer to the client.

    Nobody is sent to an address before client and address are verified; faults up to there end on a page of ours.
    """

    http_method_names = ["get", "head", "post", "options"]

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Keep every answer out of caches: they carry codes and names."""
        response = super().dispatch(request, *args, **kwargs)
        for name, value in _NO_STORE.items():
            response[name] = value
        return response

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Show the consent page, after sign-in if need be."""
        try:
            asked = get_backend().read_authorization(read_parameters(request.GET))
        except errors.OAuth2Error as error:
            return _answer_error(request, error)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return _show_consent(request, asked)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Take the decision on exactly what the page showed, which comes back signed."""
        try:
            shown = signing.loads(request.POST.get("request", ""), salt=_CONSENT_SALT, max_age=CONSENT_SECONDS)
            parameters: dict[str, str] = shown["parameters"]
            asked = get_backend().read_authorization(parameters)
        except signing.BadSignature:
            error = errors.InvalidRequestFatalError("This page was open for too long, or was changed on the way.")
            return _answer_error(request, error)
        except errors.OAuth2Error as error:
            return _answer_error(request, error)
        decision = request.POST.get("decision")
        if shown["user"] != str(request.user.pk) or decision not in {"allow", "deny"}:
            # Another account than the one that the page named, or no answer yet: ask (again).
            return redirect(f"{request.path}?{urlencode(parameters)}")
        return self._answer(request, asked, is_allowed=decision == "allow")

    def _answer(self, request: HttpRequest, asked: AuthorizationRequest, *, is_allowed: bool) -> HttpResponseBase:
        try:
            if not is_allowed:
                denied = errors.AccessDeniedError("The person said no.", state=asked.state)
                denied.redirect_uri = asked.redirect_uri
                raise denied
            presence = _get_presence(request)
            services.give_consent(
                user_id=presence.user_id, application=asked.application, scopes=asked.scopes, now=timezone.now()
            )
            return _redirect(get_backend().allow(asked, presence=presence))
        except errors.OAuth2Error as error:
            return _answer_error(request, error)


def _get_presence(request: HttpRequest) -> services.Presence:
    """Return who is signed in here, and since when.

    Raises:
        AccessDeniedError: Nobody is.
    """
    session = get_browser_session(request)
    if session is None or session.authenticated_at is None:
        raise errors.AccessDeniedError("Nobody is signed in.")
    return services.Presence(
        user_id=session.user_id,
        session_id=session.pk,
        authenticated_at=session.authenticated_at,
        amr=tuple(session.amr.split()),
    )


def _show_consent(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponseBase:
    # The scopes are spelled out, so that nothing wider can be meant when the answer comes back.
    parameters = {**asked.parameters, "scope": " ".join(asked.scopes)}
    signed = signing.dumps({"parameters": parameters, "user": str(request.user.pk)}, salt=_CONSENT_SALT, compress=True)
    target = urlsplit(asked.redirect_uri)
    context = {
        "application": asked.application,
        "homepage_host": urlsplit(asked.application.homepage_url).hostname or "",
        "scopes": describe_scopes(asked.scopes),
        "redirect_host": target.netloc,
        "is_loopback": is_loopback(asked.redirect_uri),
        "signed_request": signed,
        "authorize_url": f"{request.path}?{urlencode(asked.parameters)}",
    }
    # Chromium holds form-action against the redirect that answers a form, too. A host source can't be an IPv6 address.
    source = f"{target.scheme}:" if "[" in target.netloc else f"{target.scheme}://{target.netloc}"
    policy: dict[str, Any] = {**settings.SECURE_CSP, "form-action": [CSP.SELF, source]}  # Any: Django's own shape
    page: HttpResponseBase = csp_override(policy)(render)(request, "oauth/authorize.html", context)
    return page


def _answer_error(request: HttpRequest, error: errors.OAuth2Error) -> HttpResponseBase:
    """Tell the client at its verified address, or the person where there is none (RFC 6749 §4.1.2.1)."""
    if isinstance(error, errors.FatalClientError) or not error.redirect_uri:
        context = {"error": error.error, "description": error.description}
        return render(request, "oauth/error.html", context, status=HTTPStatus.BAD_REQUEST)
    told = [(name, str(value)) for name, value in error.twotuples]
    return _redirect(add_issuer(add_params_to_uri(error.redirect_uri, told)))


def _redirect(uri: str) -> HttpResponseBase:
    """Redirect to an address that was verified before."""
    answer: HttpResponseBase = OAuth2ResponseRedirect(uri, ["https", "http"])
    return answer

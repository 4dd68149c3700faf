"""Logout that clients ask for (OpenID Connect RP-Initiated Logout 1.0)."""

from collections.abc import Mapping
from typing import Final, override
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import logout
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View
from oauthlib.oauth2.rfc6749 import errors

from accounts.middleware import get_browser_session
from oauth import services
from oauth.authorization import add_to_query
from oauth.form_requests import read_form, read_query
from oauth.views.answers import answer_error, keep_out_of_caches, redirect_out, render_form_to_client

_SALT: Final = "oauth.logout"
#: How long the page that asks may stay open, in seconds.
_SECONDS: Final = 3600
_KNOWN: Final = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


class _LogoutView(View):
    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except errors.OAuth2Error as error:
            response = answer_error(request, error)
        return keep_out_of_caches(response)


@method_decorator(csrf_exempt, name="dispatch")
class LogoutView(_LogoutView):
    """The logout endpoint: sign the person out, and ask first unless the client shows that it means this session."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Sign out, ask, or say that nobody is signed in.

        Raises:
            InvalidRequestFatalError: See ``services.read_logout_request``.
        """
        parameters = _keep_known(read_query(request))
        asked = services.read_logout_request(parameters)
        session, application = get_browser_session(request), asked.application
        if session is None:
            # A stranger's client has hints as well, and would make this an open redirector (RFC 9700 §4.11).
            is_sure = asked.hint is not None and application is not None and application.is_vouched_for
            return _log_out(request, asked, is_sure=is_sure)
        if asked.means(user_id=session.user_id, session_id=session.pk):
            return _log_out(request, asked, is_sure=True)
        signed = signing.dumps(dict(parameters), salt=_SALT)
        return render_form_to_client(
            request,
            "oauth/logout.html",
            {"application": application, "signed_request": signed},
            redirect_uri=asked.redirect_uri,
            client=application,
        )

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Have the same asked by GET: a form from elsewhere brings no cookies of ours.

        Raises:
            InvalidRequestFatalError: The form can't be read.
        """
        parameters = _keep_known(read_form(request))
        return redirect(f"{reverse('oauth2_provider:rp-initiated-logout')}?{urlencode(parameters)}")


class ConfirmLogoutView(_LogoutView):
    """Takes the answer of a person who was asked whether to sign out."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Sign out, or don't.

        Raises:
            InvalidRequestFatalError: The page was open for too long.
        """
        try:
            parameters = signing.loads(request.POST.get("request", ""), salt=_SALT, max_age=_SECONDS)
        except signing.BadSignature as error:
            message = "This page was open for too long, or was changed on the way."
            raise errors.InvalidRequestFatalError(message) from error
        if request.POST.get("decision") != "sign_out":
            return redirect("home")
        return _log_out(request, services.read_logout_request(parameters), is_sure=True)


def _keep_known(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name in _KNOWN}


def _log_out(request: HttpRequest, asked: services.LogoutRequest, *, is_sure: bool) -> HttpResponseBase:
    """End the session on the pages and what the client has of it; go back to the client where that is safe."""
    session, application = get_browser_session(request), asked.application
    opened_in = {asked.hint.session_id if asked.hint else None, session.pk if session else None}
    for session_id in opened_in:
        if application is not None and session_id is not None:
            services.end_client_of_session(application=application, session_id=session_id, now=timezone.now())
    if session is not None:
        logout(request)
    target = asked.redirect_uri
    if target and asked.state:
        target = add_to_query(target, {"state": asked.state})
    if target and is_sure:
        return redirect_out(target)
    context = {"application": application, "target": target, "host": urlsplit(target).netloc}
    return render(request, "oauth/logged_out.html", context)

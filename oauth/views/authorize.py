"""The authorization endpoint, with its consent page."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, override
from urllib.parse import urlsplit

from django.core import signing
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View
from oauthlib.oauth2.rfc6749 import errors
from oauthlib.openid.connect.core.exceptions import ConsentRequired, LoginRequired

from accounts.middleware import get_browser_session
from oauth import services
from oauth.authorization import AuthorizationRequest
from oauth.backends import get_backend
from oauth.conf import get_settings
from oauth.form_requests import read_form
from oauth.models import is_loopback
from oauth.prompts import Prompt
from oauth.scopes import describe_scopes
from oauth.selectors import covers, find_consent, is_identity_assured, list_new_scopes
from oauth.views.answers import answer_client, answer_error, keep_out_of_caches, render_form_to_client
from oauth.views.waiting import (
    WayBack,
    find_way_back,
    get_address,
    is_used_up,
    read_request,
    send_back,
    send_through,
    use_up,
)

#: How long a consent page may stay open, in seconds.
CONSENT_SECONDS: Final = 3600
_CONSENT_SALT: Final = "oauth.consent"
_GONE: Final = "The app or the account was deleted just now."


@method_decorator(csrf_exempt, name="dispatch")
class AuthorizeView(View):
    """The authorization endpoint (RFC 6749 §3.1): ask the person, then send the answer to the client.

    Nobody is sent to an address before client and address are verified; faults up to there end on a page of ours.
    """

    http_method_names = ["get", "head", "post", "options"]

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Turn errors into answers, and keep every answer out of caches."""
        try:
            response = super().dispatch(request, *args, **kwargs)
        except errors.OAuth2Error as error:
            response = answer_error(request, error)
        except IntegrityError:
            response = answer_error(request, errors.InvalidRequestFatalError(_GONE))
        return keep_out_of_caches(response)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or show the person what has to come before.

        Raises:
            InvalidRequestFatalError: The request can't be read.
        """
        return _take(request, read_request(request), _answer_or_ask)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Take a request that comes as a form (OpenID Connect Core §3.1.2.1), and have it made once more by GET.

        A form from elsewhere brings no cookies of ours, so that nobody seems to be signed in.

        Raises:
            InvalidRequestFatalError: The request can't be read.
        """
        return _take(request, read_form(request), send_back)


class ConsentView(View):
    """Takes the decision on exactly what the consent page showed, which comes back signed."""

    http_method_names = ["post", "options"]

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Turn errors into answers, and keep every answer out of caches."""
        try:
            response = super().dispatch(request, *args, **kwargs)
        except errors.OAuth2Error as error:
            response = answer_error(request, error)
        except IntegrityError:
            response = answer_error(request, errors.InvalidRequestFatalError(_GONE))
        return keep_out_of_caches(response)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Send the client what the person decided.

        Raises:
            OAuth2Error: The request is refused.
        """
        try:
            shown = signing.loads(request.POST.get("request", ""), salt=_CONSENT_SALT, max_age=CONSENT_SECONDS)
        except signing.BadSignature as error:
            message = "This page was open for too long, or was changed on the way."
            raise errors.InvalidRequestFatalError(message) from error
        asked = get_backend().read_authorization(shown["parameters"])
        presence, decision = find_presence(request), request.POST.get("decision")
        if presence is None or decision not in {"allow", "deny"} or not _is_still_good(request, shown, asked, presence):
            return send_back(request, asked)  # ask (again)
        use_up(request, shown["mark"])
        if decision == "deny":
            raise asked.refuse(errors.AccessDeniedError("The person said no."))
        return _allow(request, asked, presence, is_asked=True)


def find_presence(request: HttpRequest) -> services.Presence | None:
    """Return who is signed in here, and since when."""
    session = get_browser_session(request)
    if session is None or session.authenticated_at is None:
        return None
    return services.Presence(
        user_id=session.user_id,
        session_id=session.pk,
        authenticated_at=session.authenticated_at,
        amr=tuple(session.amr.split()),
    )


def _take(
    request: HttpRequest,
    parameters: Mapping[str, str],
    go_on: Callable[[HttpRequest, AuthorizationRequest], HttpResponseBase],
) -> HttpResponseBase:
    """Go on with a request if it is valid; the person is asked about faults before they leave, unless in silence."""
    try:
        return go_on(request, get_backend().read_authorization(parameters))
    except errors.OAuth2Error as error:
        return answer_error(request, error, may_ask=set(parameters.get("prompt", "").split()) != {Prompt.NONE})


def _answer_or_ask(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponseBase:
    """Answer, or show the person what has to come before.

    Raises:
        OAuth2Error: The request is refused.
    """
    wish, now = asked.interaction, timezone.now()
    way_back = find_way_back(request, asked)
    asked_at = way_back.asked_at if way_back else now
    presence = find_presence(request)
    if presence is None or not wish.accepts(str(presence.user_id)):
        if wish.is_silent or (presence is not None and way_back is not None):
            raise asked.refuse(LoginRequired("Nobody is signed in who could answer this."))
        return send_through(request, asked, "accounts:login", asked_at=asked_at, login_hint=wish.login_hint)
    if not wish.is_recent_enough(presence.authenticated_at, asked_at=asked_at, now=now):
        if wish.is_silent:
            raise asked.refuse(LoginRequired("The person signed in too long ago."))
        return send_through(request, asked, "accounts:reauthenticate", asked_at=asked_at)
    if _must_ask(asked, presence, now):
        if wish.is_silent:
            raise asked.refuse(ConsentRequired("The person has to be asked."))
        return _show_consent(request, asked, presence, way_back or WayBack(asked_at=now, mark=""), now)
    if way_back:
        use_up(request, way_back.mark)
    return _allow(request, asked, presence, is_asked=False)


def _is_still_good(
    request: HttpRequest, shown: dict[str, Any], asked: AuthorizationRequest, presence: services.Presence
) -> bool:
    """Say whether a page may be answered: in the session that it was shown in, once if it followed a sign-in, in time.

    Another account than the one that the page named has another session.
    """
    if shown["session"] != str(presence.session_id) or is_used_up(request, shown["mark"]):
        return False
    asked_at = datetime.fromtimestamp(shown["asked_at"], UTC)
    return asked.interaction.is_recent_enough(presence.authenticated_at, asked_at=asked_at, now=timezone.now())


def _must_ask(asked: AuthorizationRequest, presence: services.Presence, now: datetime) -> bool:
    """Say whether the person must see the consent page. What the client would like for that doesn't count."""
    application = asked.application
    if asked.interaction.wants_page:
        return True
    if not is_identity_assured(application=application, redirect_uri=asked.redirect_uri):
        return True
    if application.skip_authorization:
        return False
    consent = find_consent(user_id=presence.user_id, application=application, now=now)
    return not covers(consent=consent, scopes=asked.scopes, resource=asked.resource)


def _allow(
    request: HttpRequest, asked: AuthorizationRequest, presence: services.Presence, *, is_asked: bool
) -> HttpResponseBase:
    """Note what is allowed, where it was asked just now or needn't be, and send the client a code."""
    now, application = timezone.now(), asked.application
    consent = None if is_asked else find_consent(user_id=presence.user_id, application=application, now=now)
    is_new = not covers(consent=consent, scopes=asked.scopes, resource=asked.resource)
    if is_new and (is_asked or application.skip_authorization):
        services.give_consent(
            user_id=presence.user_id,
            application=application,
            scopes=asked.scopes,
            resource=asked.resource,
            is_asked=is_asked,
            now=now,
        )
    try:
        response = get_backend().allow(asked, presence=presence)
    except ConsentRequired as error:  # it was taken back meanwhile
        if asked.interaction.is_silent:
            raise asked.refuse(error) from error
        return send_back(request, asked)
    return answer_client(request, response, application)


def _show_consent(
    request: HttpRequest, asked: AuthorizationRequest, presence: services.Presence, way_back: WayBack, now: datetime
) -> HttpResponseBase:
    application = asked.application
    consent = find_consent(user_id=presence.user_id, application=application, now=now)
    # The scopes are spelled out, so that nothing wider can be meant when the answer comes back.
    parameters = {**asked.parameters, "scope": " ".join(asked.scopes)}
    shown = {
        "parameters": parameters,
        "session": str(presence.session_id),
        "asked_at": way_back.asked_at.timestamp(),
        "mark": way_back.mark,
    }
    lifetime = get_settings().consent_lifetime
    context: dict[str, Any] = {  # Any: whatever the template shows
        "application": application,
        "owner": None if application.is_vouched_for else application.user,
        "homepage_host": urlsplit(application.homepage_url).hostname or "",
        "scopes": describe_scopes(asked.scopes),
        "new_scopes": list_new_scopes(consent=consent, scopes=asked.scopes) if consent else [],
        "is_known": consent is not None,
        "is_remembered": is_identity_assured(application=application, redirect_uri=asked.redirect_uri),
        "resource_hosts": [urlsplit(uri).netloc or uri for uri in asked.resource],
        "ends_at": now + lifetime if lifetime else None,
        "redirect_host": urlsplit(asked.redirect_uri).netloc,
        "is_loopback": is_loopback(asked.redirect_uri),
        "signed_request": signing.dumps(shown, salt=_CONSENT_SALT, compress=True),
        "authorize_url": get_address(asked),
    }
    return render_form_to_client(
        request, "oauth/authorize.html", context, redirect_uri=asked.redirect_uri, client=application
    )

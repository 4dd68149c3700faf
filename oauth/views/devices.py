"""Devices without a browser: where they begin, and the page on which their users decide (RFC 8628)."""

from http import HTTPStatus
from typing import Any, Final, override
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.generic import View

from accounts.throttles import Door, count_attempt
from oauth import services
from oauth.backends import get_backend
from oauth.forms import UserCodeForm
from oauth.models import DeviceGrant
from oauth.scopes import describe_scopes
from oauth.selectors import get_active_client
from oauth.services.devices import allow_device, deny_device, find_waiting_device
from oauth.throttles import limit_devices
from oauth.tokens import read_user_code, show_user_code
from oauth.views.answers import keep_out_of_caches, refuse_attempt
from oauth.views.authorize import find_presence
from oauth.views.programs import FormEndpoint
from project.current_request import get_client_ip

_DECISION_SALT: Final = "oauth.device"
_WRONG_CODE: Final = "No device waits with this code. Look at the device: it may show another one by now."
_TOO_LATE: Final = "This device waits no longer. Start it once more, and enter the code that it shows then."


class DeviceAuthorizationView(FormEndpoint):
    """The device authorization endpoint (RFC 8628 §3.1)."""

    @override
    def answer(self, request: HttpRequest) -> tuple[str, int]:
        """Give a device its codes, and the page on which its user enters one of them.

        Raises:
            OAuth2Error: The request is refused.
            TooManyAttempts: It is one too many from there.
        """
        now = timezone.now()
        limit_devices(request, now=now)
        started = get_backend().start_device(request, now=now)
        page = settings.BASE_URL + reverse("oauth2_provider:device")
        told = {
            "device_code": started.device_code,
            "user_code": started.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': started.user_code})}",
            "expires_in": int(started.expires_in.total_seconds()),
            "interval": int(started.interval.total_seconds()),
        }
        return JsonResponse(told).content.decode(), HTTPStatus.OK


class _DevicePage(View):
    """A page for who is signed in; others sign in first and come back."""

    http_method_names = ["get", "head", "post", "options"]
    presence: services.Presence

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Find out who is there, and keep every answer out of caches."""
        presence = find_presence(request)
        if presence is None:
            return keep_out_of_caches(redirect_to_login(_get_address(request)))
        self.presence = presence
        return keep_out_of_caches(super().dispatch(request, *args, **kwargs))


class DeviceView(_DevicePage):
    """Takes the code that a device shows, then asks. A code in the address is filled in, no more (RFC 8628 §3.3.1)."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Show the box for the code; whether there is such a device isn't looked up yet."""
        return _show_form(request, UserCodeForm(initial={"user_code": request.GET.get("user_code", "")[:40]}))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Ask about the device that shows the code."""
        now = timezone.now()
        person = str(self.presence.user_id)
        wait = count_attempt(request, door=Door.ENTER_DEVICE_CODE, account=person, now=now)
        if wait is not None:
            return refuse_attempt(request, wait)
        form = UserCodeForm(request.POST)
        if form.is_valid():
            grant = find_waiting_device(user_code=form.cleaned_data["user_code"], now=now)
            if grant is not None:
                return _show_device(request, grant, self.presence, user_code=form.cleaned_data["user_code"])
            form.add_error("user_code", _WRONG_CODE)  # the same, whatever became of it
        return _show_form(request, form)


class DeviceDecisionView(_DevicePage):
    """Takes the decision on exactly the device that the page showed, which comes back signed."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Let the device in, or send it away."""
        lifetime = settings.OAUTH["DEVICE_CODE_SECONDS"]
        try:
            shown = signing.loads(request.POST.get("request", ""), salt=_DECISION_SALT, max_age=lifetime)
        except signing.BadSignature:
            shown = {}
        decision = request.POST.get("decision")
        if shown.get("user") != str(self.presence.user_id) or decision not in {"allow", "deny"}:
            return redirect("oauth2_provider:device")
        grant = DeviceGrant.objects.select_related("application").filter(pk=shown["device"]).first()
        if grant is None or not _decide(grant, self.presence, is_allowed=decision == "allow"):
            messages.error(request, _TOO_LATE)
            return redirect("oauth2_provider:device")
        name = grant.application.name
        messages.success(request, f"{name} can go on now." if decision == "allow" else f"{name} was sent away.")
        return redirect("oauth2_provider:device-decided")


class DeviceDecidedView(_DevicePage):
    """Sends people back to their device."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Say so."""
        return render(request, "oauth/device_decided.html")


def _decide(grant: DeviceGrant, presence: services.Presence, *, is_allowed: bool) -> bool:
    """Carry out a decision; False where it comes too late."""
    now = timezone.now()
    try:
        if not is_allowed:
            return deny_device(grant=grant, presence=presence, now=now)
        if get_active_client(client_id=grant.application.client_id) is None:
            return False
        return allow_device(grant=grant, presence=presence, now=now)
    except IntegrityError:  # client, person or session was deleted just now
        return False


def _show_form(request: HttpRequest, form: UserCodeForm) -> HttpResponseBase:
    return render(request, "oauth/device.html", {"form": form})


def _show_device(
    request: HttpRequest, grant: DeviceGrant, presence: services.Presence, *, user_code: str
) -> HttpResponseBase:
    application = grant.application
    shown = {"device": grant.pk, "user": str(presence.user_id)}
    context: dict[str, Any] = {  # Any: whatever the template shows
        "application": application,
        "owner": None if application.is_vouched_for else application.user,
        "homepage_host": urlsplit(application.homepage_url).hostname or "",
        "scopes": describe_scopes(grant.scope.split()),
        "resource_hosts": [urlsplit(uri).netloc or uri for uri in grant.resource],
        "grant": grant,
        "user_code": show_user_code(read_user_code(user_code)),
        "age": int((timezone.now() - grant.created_at).total_seconds()) // 60,
        "is_here": grant.ip_address is not None and grant.ip_address == get_client_ip(request),
        "signed_request": signing.dumps(shown, salt=_DECISION_SALT, compress=True),
    }
    return render(request, "oauth/device_decision.html", context)


def _get_address(request: HttpRequest) -> str:
    """Return where to come back to: a form that was sent before sign-in is lost but for its code."""
    path = reverse("oauth2_provider:device")
    user_code = (request.GET.get("user_code") or request.POST.get("user_code") or "")[:40]
    return f"{path}?{urlencode({'user_code': user_code})}" if user_code else path

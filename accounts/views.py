"""Pages: sign in, sign out, verify an e-mail address."""

from http import HTTPStatus
from typing import TYPE_CHECKING, override

from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.exceptions import InvalidEmailToken
from accounts.forms import SignInForm
from accounts.selectors import find_email_token
from accounts.services import verify_email
from accounts.throttles import Door, count_attempt, note_success

if TYPE_CHECKING:
    DjangoLoginView = auth_views.LoginView[SignInForm]
else:  # generic in the stubs only
    DjangoLoginView = auth_views.LoginView

#: Longest address, as sent in a header, that the way through sign-in keeps; authorization requests are long.
MAX_NEXT_CHARACTERS = 12_000


class HouseRedirectMixin(auth_views.RedirectURLMixin):
    """Goes on to ``next`` where that lies on this host, also when it is long."""

    @override
    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Return ``next`` if it is safe, else nothing."""
        request = request or self.get_request()
        url = request.POST.get("next", request.GET.get("next", "")).strip()
        # Django refuses any address over 2,048 characters. What decides about the host ends at the query string.
        is_here = url_has_allowed_host_and_scheme(
            url.partition("?")[0],
            allowed_hosts=self.get_success_url_allowed_hosts(request),
            require_https=request.is_secure(),
        )
        return url if is_here and len(iri_to_uri(url)) <= MAX_NEXT_CHARACTERS else ""

    def get_request(self) -> HttpRequest:
        """Return the request of the view."""
        raise NotImplementedError


class LoginView(HouseRedirectMixin, DjangoLoginView):
    """Sign in. The session key changes with it; how often one may try is limited."""

    authentication_form = SignInForm
    template_name = "accounts/login.html"

    @override
    def get_request(self) -> HttpRequest:
        return self.request

    @override
    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Count the attempt, then check it."""
        account = request.POST.get("username", "")
        wait = count_attempt(request, door=Door.LOGIN, account=account, now=timezone.now())
        if wait is None:
            return super().post(request, *args, **kwargs)
        return _refuse_attempt(request, wait)

    @override
    def form_valid(self, form: SignInForm) -> HttpResponse:
        """Sign in, and forget the attempts before."""
        note_success(self.request, door=Door.LOGIN, account=form.cleaned_data["username"], now=timezone.now())
        return super().form_valid(form)


class LogoutView(HouseRedirectMixin, auth_views.LogoutView):
    """Sign out; by POST alone."""

    @override
    def get_request(self) -> HttpRequest:
        return self.request

    @override
    def get_default_redirect_url(self) -> str:
        """Return the home page."""
        return reverse("home")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def verify_email_page(request: HttpRequest, token: str) -> HttpResponseBase:
    """Ask to confirm the address, and confirm it.

    Opening the page changes nothing, because mail scanners open links too; the button does.
    """
    now = timezone.now()
    if request.method == "POST":
        if (wait := count_attempt(request, door=Door.VERIFY, now=now)) is not None:
            return _refuse_attempt(request, wait)
        try:
            user = verify_email(token=token, now=now)
        except InvalidEmailToken:
            return _refuse_link(request)
        note_success(request, door=Door.VERIFY, account=user.email, now=now)
        return redirect("accounts:email-verified")
    found = find_email_token(token=token, now=now)
    if found is None:
        return _refuse_link(request)
    return render(request, "accounts/verify_email.html", {"email": found.email})


@require_safe
def email_verified(request: HttpRequest) -> HttpResponse:
    """Say that the address is confirmed."""
    return render(request, "accounts/email_verified.html")


def _refuse_link(request: HttpRequest) -> HttpResponse:
    context = {"message": InvalidEmailToken().message}
    return render(request, "accounts/invalid_link.html", context, status=HTTPStatus.BAD_REQUEST)


def _refuse_attempt(request: HttpRequest, wait: int) -> HttpResponse:
    response = render(request, "accounts/too_many_attempts.html", {"wait": wait}, status=HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = str(wait)
    return response

"""What the pages of accounts share: where they go on to, what they refuse, and how a form goes its way."""

from http import HTTPStatus
from typing import Any, ClassVar, Final, override
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth.views import RedirectURLMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View

from accounts.exceptions import InvalidCredentials, InvalidEmailToken, PasswordRefused, ReauthenticationRequired
from accounts.forms import PageForm
from accounts.middleware import get_browser_session
from accounts.models import EmailToken, Session, User
from accounts.selectors import find_email_token
from accounts.services import require_recent_authentication
from accounts.throttles import Door, count_attempt

#: Longest address, as sent in a header, that the way through sign-in keeps; authorization requests are long.
MAX_NEXT_CHARACTERS: Final = 12_000
#: Keeps where somebody wanted to go while they read their mail; as long as the link in it lives.
_NEXT_COOKIE: Final = "next"
_NEXT_COOKIE_SECONDS: Final = 24 * 3600
_MAX_COOKIE_CHARACTERS: Final = 3_000  # of a cookie of 4,096 at most


def find_next(request: HttpRequest, url: str) -> str:
    """Return an address of this host as it is, and nothing for any other."""
    url = url.strip()
    # Django refuses any address over 2,048 characters. What decides about the host ends at the query string.
    is_here = url_has_allowed_host_and_scheme(
        url.partition("?")[0], allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return url if is_here and len(iri_to_uri(url)) <= MAX_NEXT_CHARACTERS else ""


def get_next(request: HttpRequest) -> str:
    """Return where the request asks to go on to, if that lies on this host, also when it is long."""
    return find_next(request, request.POST.get("next", request.GET.get("next", "")))


def get_kept_next(request: HttpRequest) -> str:
    """Return where somebody wanted to go before they were sent to their mail; the cookie is nobody's proof."""
    return find_next(request, request.COOKIES.get(_NEXT_COOKIE, ""))


def keep_next(response: HttpResponse, url: str) -> None:
    """Keep where somebody wants to go while they read their mail; a very long address isn't kept."""
    if url and len(quote(url)) <= _MAX_COOKIE_CHARACTERS:
        response.set_cookie(
            _NEXT_COOKIE,
            iri_to_uri(url),
            max_age=_NEXT_COOKIE_SECONDS,
            path="/accounts/",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def forget_next(response: HttpResponse) -> None:
    """Forget where somebody wanted to go, once they are there."""
    response.delete_cookie(_NEXT_COOKIE, path="/accounts/", samesite="Lax")


def address(name: str, *, next_url: str = "") -> str:
    """Return the address of a page of accounts, with where to go on to."""
    url = reverse(f"accounts:{name}")
    return f"{url}?{urlencode({'next': next_url})}" if next_url else url


def send_to_mail(request: HttpRequest, page: str) -> HttpResponse:
    """Go on to a page that says that a mail is on its way, and keep where the person wants to go after it."""
    next_url = get_next(request)
    response = redirect(address(page, next_url=next_url))
    keep_next(response, next_url)
    return response


def refuse_attempt(request: HttpRequest, wait: int) -> HttpResponse:
    """Say that there were too many attempts, and how many seconds to wait."""
    response = render(request, "accounts/too_many_attempts.html", {"wait": wait}, status=HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = str(wait)
    return response


class HouseRedirectMixin(RedirectURLMixin):
    """Goes on to ``next`` where that lies on this host, also when it is long."""

    @override
    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Return ``next`` if it is safe, else nothing."""
        return get_next(request or self.get_request())

    def get_request(self) -> HttpRequest:
        """Return the request of the view."""
        raise NotImplementedError


class Page(View):
    """A page that no cache keeps."""

    template_name: ClassVar[str]

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    def show(self, *, status: HTTPStatus = HTTPStatus.OK, **context: object) -> HttpResponse:
        """Render the template."""
        return render(self.request, self.template_name, context, status=status)


class PlainPage(Page):
    """A page that only says something."""

    template_name = ""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Say it."""
        return self.show(has_dev_pages=settings.DEV_PAGES, next=get_next(request) or get_kept_next(request))


class FormPage(Page):
    """A page with one form: shown by GET, sent by POST, and answered with a redirect, or once more with what is wrong.

    Where ``door`` is set the attempt is counted before anything is looked at.
    """

    form_class: ClassVar[type[PageForm]]
    door: ClassVar[Door | None] = None
    #: Field that is to blame where a service says ``InvalidCredentials``.
    refused_field: ClassVar[str | None] = None

    def get(self, request: HttpRequest, **kwargs: object) -> HttpResponseBase:
        """Show the form."""
        return self.show_form(self.form_class(initial=self.get_initial()))

    def post(self, request: HttpRequest, **kwargs: object) -> HttpResponseBase:
        """Count, check and hand over what was sent."""
        if self.door:
            wait = count_attempt(request, door=self.door, account=self.get_account(), now=timezone.now())
            if wait is not None:
                return refuse_attempt(request, wait)
        form = self.form_class(request.POST)
        if form.is_valid():
            try:
                return self.submit(form.cleaned_data)
            except (InvalidCredentials, PasswordRefused) as refusal:
                form.add_refusal(refusal, field=self.refused_field)
        return self.show_form(form)

    def submit(self, data: dict[str, str]) -> HttpResponse:
        """Hand the fields to a service and say where to go on.

        Raises:
            InvalidCredentials: Shown beside ``refused_field``.
            PasswordRefused: Shown beside its fields.
        """
        raise NotImplementedError

    def show_form(self, form: PageForm) -> HttpResponse:
        """Render the page with its form."""
        return self.show(form=form, next=get_next(self.request))

    def get_initial(self) -> dict[str, Any]:  # Any: as forms take it
        """Return what the empty form holds."""
        return {}

    def get_account(self) -> str:
        """Return the address that names the account for the count of attempts, as it was typed."""
        return self.request.POST.get("email", "")


class LinkPage(FormPage):
    """The page of a mailed link.

    Opening it changes nothing, because mail scanners open links too; its button does.
    """

    form_class = PageForm
    purpose: ClassVar[EmailToken.Purpose]

    @property
    def token(self) -> str:
        """The token that the address ends with."""
        return str(self.kwargs["token"])

    @override
    def post(self, request: HttpRequest, **kwargs: object) -> HttpResponseBase:
        try:
            return super().post(request, **kwargs)
        except InvalidEmailToken:
            return self._refuse()

    @override
    def show_form(self, form: PageForm) -> HttpResponse:
        link = find_email_token(token=self.token, purpose=self.purpose, now=timezone.now())
        return self._refuse() if link is None else self.show(form=form, email=link.email)

    def _refuse(self) -> HttpResponse:
        context = {"message": InvalidEmailToken().message, "purpose": self.purpose.value}
        return render(self.request, "accounts/invalid_link.html", context, status=HTTPStatus.BAD_REQUEST)


class OwnPage(Page):
    """A page about the account of who asks.

    Strangers are sent to sign in first, and who did so too long ago is asked for the password where
    ``is_sensitive`` says so.
    """

    is_sensitive: ClassVar[bool] = False
    session: Session
    user: User

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        session = get_browser_session(request)
        if session is None or not isinstance(request.user, User):
            return self._send_to("login")
        self.session, self.user = session, request.user
        if self.is_sensitive:
            try:
                require_recent_authentication(authenticated_at=session.authenticated_at, now=timezone.now())
            except ReauthenticationRequired:
                return self._send_to("reauthenticate")
        return super().dispatch(request, *args, **kwargs)

    def _send_to(self, name: str) -> HttpResponseRedirect:
        """Send somebody to another page and, after it, back here, or to the profile where there is nothing to see."""
        back = self.request.path if hasattr(self, "get") else reverse("accounts:profile")
        response = redirect(address(name, next_url=back))
        add_never_cache_headers(response)
        return response

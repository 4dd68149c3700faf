"""Pages: sign in, sign out, and showing once more who one is."""

from typing import TYPE_CHECKING, Any, override

from django.contrib.auth import views as auth_views
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from accounts.exceptions import EmailNotVerified, InvalidCredentials
from accounts.forms import OwnPasswordForm, SignInForm
from accounts.models import User
from accounts.services import reauthenticate
from accounts.throttles import Door, count_attempt, note_success
from accounts.views.pages import FormPage, HouseRedirectMixin, OwnPage, forget_next, get_next, refuse_attempt

if TYPE_CHECKING:
    DjangoLoginView = auth_views.LoginView[SignInForm]
else:  # generic in the stubs only
    DjangoLoginView = auth_views.LoginView


class LoginView(HouseRedirectMixin, DjangoLoginView):
    """Sign in. The session key changes with it; how often one may try is limited."""

    authentication_form = SignInForm
    template_name = "accounts/login.html"

    @override
    def get_request(self) -> HttpRequest:
        return self.request

    @override
    def get_initial(self) -> dict[str, Any]:  # Any: as Django has it
        """Fill in the address that ``login_hint`` names, for whoever knows it already."""
        return {**super().get_initial(), "username": self.request.GET.get("login_hint", "")}

    @override
    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Count the attempt, then check it."""
        account = request.POST.get("username", "")
        wait = count_attempt(request, door=Door.LOGIN, account=account, now=timezone.now())
        if wait is None:
            return super().post(request, *args, **kwargs)
        return refuse_attempt(request, wait)

    @override
    def form_valid(self, form: SignInForm) -> HttpResponse:
        """Sign in, and forget the attempts before."""
        note_success(self.request, door=Door.LOGIN, account=form.cleaned_data["username"], now=timezone.now())
        try:
            response = super().form_valid(form)
        except (InvalidCredentials, User.NotUpdated):  # changed, deactivated or deleted since it was checked
            self.request.session.flush()
            self.request.user = AnonymousUser()
            form.add_error(None, InvalidCredentials().message)
            return self.form_invalid(form)
        forget_next(response)
        return response

    @override
    def form_invalid(self, form: SignInForm) -> HttpResponse:
        """Show what is wrong and, where the address is to be confirmed, the way to another link."""
        is_unverified = form.has_error("__all__", EmailNotVerified.code)
        return self.render_to_response(self.get_context_data(form=form, is_unverified=is_unverified))


class LogoutView(HouseRedirectMixin, auth_views.LogoutView):
    """Sign out, by POST; whoever comes by a link or the address bar is asked first."""

    http_method_names = ("get", "head", "post", "options")
    template_name = "accounts/logout.html"

    @override
    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Ask; who isn't signed in goes on."""
        if not request.user.is_authenticated:
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    @override
    def get_request(self) -> HttpRequest:
        return self.request

    @override
    def get_default_redirect_url(self) -> str:
        """Return the home page."""
        return reverse("home")


class ReauthenticateView(OwnPage, FormPage):
    """Ask who is signed in for the password once more, then go back to where they were."""

    template_name = "accounts/reauthenticate.html"
    form_class = OwnPasswordForm
    door = Door.REAUTHENTICATE
    refused_field = "password"

    @override
    def get_account(self) -> str:
        return self.user.email

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        now = timezone.now()
        reauthenticate(user=self.user, session_id=self.session.pk, password=data["password"], now=now)
        note_success(self.request, door=Door.REAUTHENTICATE, account=self.user.email, now=now)
        # A key that somebody may have seen before opens nothing that was locked (ASVS 7.2.4).
        self.request.session.cycle_key()
        return HttpResponseRedirect(get_next(self.request) or reverse("accounts:profile"))

"""Pages: personal access tokens."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.views import OwnPage
from oauth.exceptions import PersonalTokenDoesNotExist, PersonalTokenRefused
from oauth.forms import NEVER, PersonalTokenForm
from oauth.scopes import describe_scopes
from oauth.selectors import list_personal_tokens
from oauth.services import create_personal_token, revoke_own_token


class PersonalTokensView(OwnPage):
    """The tokens that there are."""

    template_name = "oauth/personal_tokens.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """List them, the newest first."""
        now = timezone.now()
        rows = [
            {
                "token": token,
                "scopes": describe_scopes(token.scope.split()),
                "is_expired": token.expires_at is not None and token.expires_at <= now,
            }
            for token in list_personal_tokens(user_id=self.user.pk)
        ]
        return self.show(rows=rows)


class NewPersonalTokenView(OwnPage):
    """Make one.

    The answer to the form shows it and is no redirect: it is kept nowhere from where another page could show it. The
    same form once more is refused, since there is a token of that name.
    """

    template_name = "oauth/new_personal_token.html"
    is_sensitive = True

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the form."""
        return self.show(form=PersonalTokenForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make it and show it, or say what is wrong."""
        form = PersonalTokenForm(request.POST)
        if form.is_valid():
            days = form.cleaned_data["days"]
            try:
                made = create_personal_token(
                    user_id=self.user.pk,
                    session_id=self.session.pk,
                    name=form.cleaned_data["name"],
                    scopes=form.cleaned_data["scopes"],
                    lifetime=None if days == NEVER else timedelta(days=int(days)),
                    now=timezone.now(),
                )
            except PersonalTokenRefused as refusal:
                form.add_refusal(refusal)
            else:
                return self.show(made=made)
        return self.show(form=form)


class RevokePersonalTokenView(OwnPage):
    """Revoke one."""

    def post(self, request: HttpRequest, token_id: UUID) -> HttpResponse:
        """Revoke it; one that is gone meanwhile is no mistake."""
        with suppress(PersonalTokenDoesNotExist):
            revoke_own_token(user_id=self.user.pk, token_id=token_id, now=timezone.now())
            messages.success(request, "That token works no longer.")
        return redirect("oauth2_provider:personal-tokens")

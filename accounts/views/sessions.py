"""Pages: where one is signed in, and ending that."""

from contextlib import suppress
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.devices import describe_device
from accounts.exceptions import SessionDoesNotExist
from accounts.navigation import find_apps_page
from accounts.selectors import list_client_sessions, list_sessions
from accounts.services import end_other_sessions, end_own_session, sign_out_everywhere
from accounts.views.pages import OwnPage

#: So many sessions are shown; who has more ends them together.
_SHOWN: Final = 100


class SessionsView(OwnPage):
    """The sessions that are alive, this one first."""

    template_name = "accounts/sessions.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """List them."""
        now = timezone.now()
        others = list(list_sessions(user=self.user, now=now).exclude(pk=self.session.pk)[: _SHOWN + 1])
        shown = [
            {"session": session, "device": describe_device(session.user_agent), "is_current": session == self.session}
            for session in [self.session, *others[:_SHOWN]]
        ]
        return self.show(
            sessions=shown,
            has_others=bool(others),
            has_more=len(others) > _SHOWN,
            has_apps=list_client_sessions(user_id=self.user.pk, now=now).exists(),
            apps_page=find_apps_page(),
        )


class EndSessionView(OwnPage):
    """End one of them."""

    def post(self, request: HttpRequest, session_id: UUID) -> HttpResponse:
        """End it; one that has ended by itself meanwhile is no mistake."""
        if session_id == self.session.pk:
            logout(request)
            return redirect("accounts:login")
        with suppress(SessionDoesNotExist):
            end_own_session(user=self.user, session_id=session_id, now=timezone.now())
            messages.success(request, "That device is signed out.")
        return redirect("accounts:sessions")


class EndOtherSessionsView(OwnPage):
    """End all but this one, and what apps may do."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """End them."""
        end_other_sessions(user=self.user, session_id=self.session.pk, now=timezone.now())
        messages.success(request, "All other devices are signed out.")
        return redirect("accounts:sessions")


class EndAllSessionsView(OwnPage):
    """End all of them, this one too."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """End them."""
        sign_out_everywhere(user=self.user, now=timezone.now())
        logout(request)
        messages.success(request, "You are signed out on all devices.")
        return redirect("accounts:login")

"""Pages: the clients that may act for a person, and ending that."""

from contextlib import suppress
from typing import Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.devices import describe_device
from accounts.views import OwnPage
from oauth.exceptions import ConnectionDoesNotExist
from oauth.scopes import describe_scopes
from oauth.selectors import describe_connections, list_connected_clients
from oauth.services import revoke_connection

_PER_PAGE: Final = 25


class ConnectionsView(OwnPage):
    """The clients, and what each may do."""

    template_name = "oauth/connections.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """List them by name; a page that isn't there is the one nearest to it."""
        now = timezone.now()
        clients = Paginator(list_connected_clients(user_id=self.user.pk, now=now), _PER_PAGE)
        page = clients.get_page(request.GET.get("page"))
        rows = [
            {
                "connection": connection,
                "scopes": describe_scopes(connection.scopes),
                "is_expired": connection.consent is not None
                and connection.consent.expires_at is not None
                and connection.consent.expires_at <= now,
                "sessions": [(session, describe_device(session.user_agent)) for session in connection.sessions],
                "more": connection.session_count - len(connection.sessions),
            }
            for connection in describe_connections(user_id=self.user.pk, clients=page, now=now)
        ]
        return self.show(rows=rows, page=page)


class RevokeConnectionView(OwnPage):
    """End what one of them may do."""

    def post(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """End it; what has ended by itself meanwhile is no mistake."""
        with suppress(ConnectionDoesNotExist):
            revoke_connection(user_id=self.user.pk, client_id=client_id, now=timezone.now())
            messages.success(request, "That app can no longer use your account.")
        return redirect("oauth2_provider:connections")

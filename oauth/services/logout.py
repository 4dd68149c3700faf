"""Logout that a client asks for (OpenID Connect RP-Initiated Logout 1.0)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from oauthlib.oauth2.rfc6749 import errors

from accounts.services import end_sessions_opened_in
from oauth.models import Application
from oauth.scopes import OFFLINE
from oauth.selectors import get_active_client
from oauth.tokens import HintNotVerifiable, IdTokenHint, read_id_token_hint
from permissions import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """What a client asks for.

    Attributes:
        application: The client, where the request names one.
        hint: Whom it means, where it shows an ID token.
        redirect_uri: Where the person goes on afterwards, one of the client's own; empty: nowhere.
        state: Repeated there.
    """

    application: Application | None
    hint: IdTokenHint | None
    redirect_uri: str
    state: str

    def means(self, *, user_id: UUID, session_id: UUID) -> bool:
        """Say whether the client has shown that it means this very session."""
        hint = self.hint
        return hint is not None and hint.subject == str(user_id) and hint.session_id in {None, session_id}


def read_logout_request(parameters: Mapping[str, str]) -> LogoutRequest:
    """Check a request to log out.

    A hint that can't be verified any more counts for nothing, nor does an address that only it could say something of.

    Raises:
        InvalidRequestFatalError: The hint isn't ours, or people would be sent where the client isn't registered.
    """
    raw, client_id = parameters.get("id_token_hint", ""), parameters.get("client_id", "")
    try:
        hint, is_gone = (read_id_token_hint(raw) if raw else None), False
    except HintNotVerifiable:
        hint, is_gone = None, True
    if raw and hint is None and not is_gone:
        raise errors.InvalidRequestFatalError("The id_token_hint is no ID token of this server.")
    if hint is not None and client_id not in {"", hint.client_id}:
        raise errors.InvalidRequestFatalError("The id_token_hint was made for another client than client_id names.")
    named = hint.client_id if hint else client_id
    application = get_active_client(client_id=named) if named else None
    if named and application is None:
        raise errors.InvalidRequestFatalError("There is no such client.")
    redirect_uri = "" if is_gone and not client_id else parameters.get("post_logout_redirect_uri", "")
    if redirect_uri and application is None:
        raise errors.InvalidRequestFatalError("The post_logout_redirect_uri needs an id_token_hint or a client_id.")
    if redirect_uri and application and not application.post_logout_redirect_uri_allowed(redirect_uri):
        raise errors.InvalidRequestFatalError("The post_logout_redirect_uri is not registered for the client.")
    return LogoutRequest(
        application=application, hint=hint, redirect_uri=redirect_uri, state=parameters.get("state", "")
    )


def end_client_of_session(*, application: Application, session_id: UUID, now: datetime) -> int:
    """End what a client may do since a session on the pages; what it may do while the person is away stays.

    Returns:
        How many of its sessions that were.
    """
    ended = end_sessions_opened_in(
        session_id=session_id, client_id=application.client_id, spared_scope=OFFLINE, now=now
    )
    audit.record("client.logged_out", subject=application, client=application.client_id, sessions=ended)
    return ended

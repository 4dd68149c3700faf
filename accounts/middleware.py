"""Sessions on the pages: ended here as soon as they are ended anywhere."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import sync_only_middleware

from accounts.models import Session, User
from accounts.services import use_browser_session
from project.browsers import is_for_programs

#: Where Django's session keeps the id of ours.
SESSION_ID_KEY: Final = "_session_id"


def get_browser_session(request: HttpRequest) -> Session | None:
    """Return the session of ours in which a page is asked for; None where nobody is signed in."""
    session: Session | None = getattr(request, "sign_in", None)
    return session


@sync_only_middleware
class BrowserSessionMiddleware:
    """Sign out who comes with a session that was ended elsewhere, or has come to its end by itself.

    After Django's own; costs one query where somebody is signed in, and none otherwise.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Take what comes after it."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Look at the session before anything else is done with the request."""
        if not is_for_programs(request) and SESSION_KEY in request.session:
            session = _find(request)
            if session is None:
                request.session.flush()
                request.user = AnonymousUser()
            else:
                request.sign_in = session  # type: ignore[attr-defined] # see get_browser_session
        return self._get_response(request)


def _find(request: HttpRequest) -> Session | None:
    raw = request.session.get(SESSION_ID_KEY)
    if not isinstance(raw, str) or not isinstance(request.user, User):
        return None
    return use_browser_session(session_id=UUID(raw), user=request.user, now=timezone.now())

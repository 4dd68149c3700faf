"""Layers for browsers alone: what they keep in cookies is neither read nor made for a program.

The addresses of programs are ``settings.PROGRAM_PATHS``. Whoever asks there is nobody until a view has looked at the
token that was sent, so no cookie opens anything there, and no program is charged for what it has no use for.
"""

from collections.abc import Awaitable
from typing import Final, override

from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

_PROGRAM_PATHS: Final = settings.PROGRAM_PATHS  # each request asks four times, and the settings take their time


def is_for_programs(request: HttpRequest) -> bool:
    """Say whether a request goes to an address of programs."""
    return request.path_info.startswith(_PROGRAM_PATHS)


class _ForBrowsers(MiddlewareMixin):
    @override
    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.get_response(request) if is_for_programs(request) else super().__call__(request)


class SessionMiddleware(_ForBrowsers, sessions.SessionMiddleware):
    """Django's sessions, for browsers."""


class MessageMiddleware(_ForBrowsers, messages.MessageMiddleware):
    """Django's messages, for browsers."""


class AuthenticationMiddleware(auth.AuthenticationMiddleware):
    """Django's users by session, for browsers; a program is nobody until its token was read."""

    @override
    def process_request(self, request: HttpRequest) -> None:
        """Note who asks."""
        if is_for_programs(request):
            request.user = AnonymousUser()
        else:
            super().process_request(request)

"""The admin site of the house."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final, override

import structlog
from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from permissions.scope import use_team
from project.exceptions import DomainError

#: So many words can be searched for at once: each is a condition of its own, of which databases take some hundreds.
_MAX_WORDS: Final = 50
_log = structlog.get_logger("gatehouse.admin")


class AdminSite(admin.AdminSite):
    """Django's admin, branded, and behind the one sign-in page of the house; colours are in ``static/admin.css``."""

    site_title = "Gatehouse"
    site_header = "Gatehouse"
    index_title = "Administration"

    @override
    def admin_view[V: Callable[..., Any]](self, view: V, cacheable: bool = False) -> V:  # Any: Django's own signature
        """Guard a page: keys and filters that no column can hold are a bad request, wherever Django looks them up."""
        guarded = super().admin_view(view, cacheable)

        def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if len(request.GET.get(SEARCH_VAR, "").split()) > _MAX_WORDS:
                message = f"Search for at most {_MAX_WORDS} words."
                raise BadRequest(message)
            try:
                with use_team(None):  # its pages are about the whole house, so what one may in one team opens none
                    response: HttpResponse = _answer_twice(guarded, request, *args, **kwargs)
            except DomainError as error:
                if error.wait is not None:
                    raise  # nothing is wrong with the request; the answer says when to send it again
                # What a form had found good was refused when it was written: something changed in between.
                raise BadRequest(error.message) from error
            except (ValueError, OverflowError, ValidationError, DataError) as error:
                _log.warning("refused", exc_info=error)  # with its traceback: it may be a mistake of ours after all
                raise BadRequest(str(error)) from error
            return response

        return update_wrapper(answer, guarded)  # type: ignore[return-value] # the same calls, guarded

    @override
    def password_change(  # type: ignore[override]  # a redirect, which renders no template
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Send staff to the page on which everybody changes their password: it ends what the old one opened."""
        return redirect("accounts:change-password")

    @override
    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Send the unknown to the sign-in page, which limits attempts and checks where one goes on to.

        Raises:
            PermissionDenied: The account that is signed in may not use the admin; signing in again wouldn't help.
        """
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index"))


def _answer_twice(
    view: Callable[..., HttpResponse], request: HttpRequest, *args: object, **kwargs: object
) -> HttpResponse:
    """Answer; once more where another request was faster, so that the form says what is there already."""
    try:
        return view(request, *args, **kwargs)
    except IntegrityError:
        return view(request, *args, **kwargs)

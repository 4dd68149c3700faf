"""The userinfo endpoint."""

from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters

from accounts.drf import RESOURCE_METADATA_PATH
from accounts.exceptions import InvalidToken
from oauth.scopes import OPENID
from oauth.selectors import describe_token_user
from oauth.views.cross_origin import CrossOriginView

_FORM: Final = "application/x-www-form-urlencoded"
_DESCRIPTIONS: Final = {
    "invalid_request": "Send one access token: in the Authorization header or in a form, not in both.",
    "invalid_token": "The access token is not valid.",
    "insufficient_scope": "The access token lacks the scope openid.",
}


class _AmbiguousToken(Exception):
    """There are two tokens, or something that can't be read."""


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(sensitive_post_parameters(), name="dispatch")
class UserInfoView(CrossOriginView):
    """Who the person is that an access token acts for (OpenID Connect Core §5.3)."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer with the claims that the token's scopes give, or say what is wrong (RFC 6750 §3)."""
        try:
            token = _read_token(request)
            told = describe_token_user(token=token, now=timezone.now()) if token else None
        except _AmbiguousToken:
            return _refuse(HTTPStatus.BAD_REQUEST, "invalid_request")
        except InvalidToken:
            return _refuse(HTTPStatus.UNAUTHORIZED, "invalid_token")
        if not token:
            return _refuse(HTTPStatus.UNAUTHORIZED)
        if told is None:
            return _refuse(HTTPStatus.FORBIDDEN, "insufficient_scope", scope=OPENID)
        return JsonResponse(told, headers={"Cache-Control": "no-store"})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer alike; the token may be in a form."""
        return self.get(request)


def _read_token(request: HttpRequest) -> str:
    """Return the access token of a request by RFC 6750 §2.1 or §2.2, empty where there is none.

    Raises:
        _AmbiguousToken: There are two, or the form can't be read.
    """
    scheme, _, in_header = request.headers.get("Authorization", "").partition(" ")
    found = [in_header.strip()] if scheme.lower() == "bearer" else []
    if request.method == "POST" and request.content_type == _FORM:
        try:
            found += [str(token) for token in request.POST.getlist("access_token")]
        except (BadRequest, SuspiciousOperation, UnreadablePostError) as error:
            raise _AmbiguousToken from error
    if len(found) > 1:
        raise _AmbiguousToken
    return found[0] if found else ""


def _refuse(status: HTTPStatus, code: str = "", **details: str) -> HttpResponse:
    """Return a refusal; one without a token is told the way and no error (RFC 6750 §3.1)."""
    told = {"error": code, "error_description": _DESCRIPTIONS[code], **details} if code else {}
    response = JsonResponse(told, status=status, headers={"Cache-Control": "no-store"})
    challenge = {"realm": "gatehouse", **told, "resource_metadata": settings.BASE_URL + RESOURCE_METADATA_PATH}
    response["WWW-Authenticate"] = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in challenge.items())
    return response

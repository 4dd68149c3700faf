"""Who asks: how clients show who they are (RFC 6749 §2.3)."""

import base64
from dataclasses import dataclass
from typing import override
from urllib.parse import unquote_plus

from django.utils import timezone
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from oauth import services
from oauth.models import Application
from oauth.selectors import get_active_client


@dataclass(frozen=True, slots=True)
class _Credentials:
    client_id: str
    client_secret: str


class ClientAuthentication(OAuth2Validator):
    """Finds the client of a request, and holds it to its secret."""

    @override
    def validate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Accept a client that is there and active."""
        if not isinstance(request.client, Application) or request.client.client_id != client_id:
            request.client = get_active_client(client_id=client_id)
        return request.client is not None

    @override
    def client_authentication_required(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Ask for authentication from everybody but a public client that shows no credentials."""
        if _read_credentials(request) is not None or not self.validate_client_id(request.client_id or "", request):
            return True
        return get_client(request).client_type != Application.CLIENT_PUBLIC

    @override
    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Check the secret of a confidential client; a public one has none to show (RFC 6749 §2.3.1).

        Raises:
            InvalidRequestError: Two ways to authenticate in one request, or two different ids.
        """
        credentials = _read_credentials(request)
        if credentials is None or not credentials.client_secret:
            return False
        client = get_active_client(client_id=credentials.client_id)
        if client is None or client.client_type != Application.CLIENT_CONFIDENTIAL:
            return False
        request.client, request.client_id = client, client.client_id
        return services.check_client_secret(application=client, secret=credentials.client_secret, now=timezone.now())

    @override
    def authenticate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Accept a public client by its id alone."""
        if not self.validate_client_id(client_id or "", request):
            return False
        return get_client(request).client_type == Application.CLIENT_PUBLIC


def get_client(request: Request) -> Application:
    """Return the client that an earlier hook found.

    Raises:
        InvalidClientError: None did.
    """
    if not isinstance(request.client, Application):
        raise errors.InvalidClientError(request=request)
    return request.client


def _read_credentials(request: Request) -> _Credentials | None:
    """Return how the client authenticates, None where it doesn't try.

    Raises:
        InvalidRequestError: It tries in two ways, or names two different ids (RFC 6749 §2.3).
        InvalidClientError: The header can't be read.
    """
    header = str(request.headers.get("Authorization", ""))
    if not header:
        if request.client_secret is None:
            return None
        return _Credentials(request.client_id or "", request.client_secret)
    if request.client_secret is not None:
        raise errors.InvalidRequestError("Authenticate in one way only: header or body.", request=request)
    credentials = _read_basic(header)
    if credentials is None:
        raise errors.InvalidClientError("The Authorization header cannot be read; use Basic.", request=request)
    if request.client_id and request.client_id != credentials.client_id:
        raise errors.InvalidRequestError("Header and body name different clients.", request=request)
    return credentials


def _read_basic(header: str) -> _Credentials | None:
    """Return what a Basic header says: both parts are form-encoded (RFC 6749 §2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return _Credentials(unquote_plus(client_id), unquote_plus(secret)) if colon else None

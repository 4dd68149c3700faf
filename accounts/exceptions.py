"""Every refusal of the app, one class per wire code."""

from http import HTTPStatus

from project.exceptions import DomainError


class InvalidToken(DomainError):
    """The access token is not valid, or no longer. Sign in again, or use your refresh token."""

    code = "invalid_token"
    status = HTTPStatus.UNAUTHORIZED


class InsufficientScope(DomainError):
    """The access token was not granted what this request needs."""

    code = "insufficient_scope"
    status = HTTPStatus.FORBIDDEN

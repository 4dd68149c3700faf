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


class InvalidCredentials(DomainError):
    """The e-mail address or the password is wrong."""

    code = "invalid_credentials"
    status = HTTPStatus.UNAUTHORIZED


class WrongPassword(InvalidCredentials):
    """The password is wrong."""

    # Not 401: who asks is known, and another access token wouldn't help.
    code = "wrong_password"
    status = HTTPStatus.FORBIDDEN


class CsrfFailed(DomainError):
    """The request doesn't show that a page of ours sent it. Send the value of the CSRF cookie as X-CSRF-Token."""

    code = "csrf_failed"
    status = HTTPStatus.FORBIDDEN


class EmailNotVerified(DomainError):
    """This e-mail address is not confirmed yet. Follow the link in the mail that we sent to it, then sign in."""

    code = "email_not_verified"
    status = HTTPStatus.FORBIDDEN


class InvalidRefreshToken(DomainError):
    """The refresh token is not valid, or no longer. Sign in again."""

    code = "invalid_refresh_token"
    status = HTTPStatus.UNAUTHORIZED


class InvalidEmailToken(DomainError):
    """This link is not valid: it was used already, has expired, or is not complete."""

    code = "invalid_email_token"


class PasswordRefused(DomainError):
    """This password is too weak."""

    code = "password_refused"


class TooBusy(DomainError):
    """Too many people are signing in at this moment. Try again in a few seconds."""

    code = "too_busy"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class ReauthenticationRequired(DomainError):
    """This needs a fresh sign-in. Enter your password again, then repeat the request."""

    code = "insufficient_user_authentication"
    status = HTTPStatus.UNAUTHORIZED


class EmailInUse(DomainError):
    """This e-mail address belongs to another account by now."""

    code = "email_in_use"
    status = HTTPStatus.CONFLICT


class SessionDoesNotExist(DomainError):
    """You have no such session, or it has ended."""

    code = "session_not_found"
    status = HTTPStatus.NOT_FOUND

"""Every refusal of the app outside the protocol's own endpoints, which answer as their RFCs say."""

from http import HTTPStatus

from project.exceptions import DomainError


class InvalidClientMetadata(DomainError):
    """The client cannot be registered like this."""

    code = "invalid_client_metadata"
    status = HTTPStatus.BAD_REQUEST


class ClientDoesNotExist(DomainError):
    """There is no such client."""

    code = "client_not_found"
    status = HTTPStatus.NOT_FOUND


class SecretDoesNotExist(DomainError):
    """The client has no such secret."""

    code = "client_secret_not_found"
    status = HTTPStatus.NOT_FOUND


class PersonalTokenRefused(DomainError):
    """The personal access token can't be made like this."""

    code = "personal_token_refused"


class PersonalTokenDoesNotExist(DomainError):
    """You have no such personal access token, or it was revoked."""

    code = "personal_token_not_found"
    status = HTTPStatus.NOT_FOUND


class ConnectionDoesNotExist(DomainError):
    """You allow nothing to such an app."""

    code = "connection_not_found"
    status = HTTPStatus.NOT_FOUND

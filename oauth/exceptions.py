"""Every refusal of the app outside the protocol's own endpoints, which answer as their RFCs say."""

from http import HTTPStatus

from project.exceptions import DomainError


class InvalidClientMetadata(DomainError):
    """The client cannot be registered like this."""

    code = "invalid_client_metadata"
    status = HTTPStatus.BAD_REQUEST

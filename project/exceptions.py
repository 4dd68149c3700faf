"""The one base of every error that a user of the house may meet."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar


class DomainError(Exception):
    """Something went wrong.

    A subclass names one wire code; its docstring is the default message. ``detail`` is for the log only and never
    leaves the house.

    Attributes:
        code: Wire code, stable, snake_case; clients branch on it.
        status: HTTP status of the answer.
        message: Public text, one or two sentences that tell the way out.
        fields: Field name to the messages about it, where a field is to blame.
        detail: Private text for the log.
        wait: Seconds after which to try again, where that helps; the answer says so in ``Retry-After``.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        message: str = "",
        *,
        fields: Mapping[str, list[str]] | None = None,
        detail: str = "",
        wait: float | None = None,
    ) -> None:
        """Use the class docstring where no message is given."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.fields = dict(fields or {})
        self.detail = detail
        self.wait = wait
        super().__init__(self.message)

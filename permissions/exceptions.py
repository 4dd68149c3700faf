"""Every refusal of the app, one class per wire code."""

from http import HTTPStatus
from typing import Self

from project.exceptions import DomainError


class RoleDoesNotExist(DomainError):
    """There is no such role."""

    code = "role_does_not_exist"

    @classmethod
    def named(cls, name: str, *, field: str = "role") -> Self:
        """Return the error about that name, to blame on a field."""
        message = f"There is no role named `{name}`."
        return cls(message, fields={field: [message]})


class RoleAlreadyExists(DomainError):
    """A role of that name exists already."""

    code = "role_already_exists"
    status = HTTPStatus.CONFLICT

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the error about that name."""
        message = f"A role `{name}` already exists."
        return cls(message, fields={"name": [message]})


class InvalidRoleName(DomainError):
    """A role's name has 1 to 100 printable characters, none of them `|`, and no space at either end."""

    code = "invalid_role_name"

    def __init__(self) -> None:
        """Blame the field ``name``."""
        super().__init__()
        self.fields = {"name": [self.message]}


class PermissionDoesNotExist(DomainError):
    """There is no such permission."""

    code = "permission_does_not_exist"

    @classmethod
    def named(cls, *names: str, field: str = "permissions") -> Self:
        """Return the error about those names, to blame on a field."""
        messages = [f"There is no permission named `{name}`." for name in names]
        return cls(" ".join(messages), fields={field: messages})


class Escalation(DomainError):
    """You can only give permissions that you hold yourself."""

    code = "escalation"
    status = HTTPStatus.FORBIDDEN


class UserDoesNotExist(DomainError):
    """There is no such user."""

    code = "user_does_not_exist"
    status = HTTPStatus.NOT_FOUND

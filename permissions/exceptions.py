"""Every refusal of the app, one class per wire code."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Self

from django.core.exceptions import PermissionDenied

from project.exceptions import DomainError


class PermissionDoesNotExist(DomainError, ValueError):
    """There is no such permission."""

    code = "permission_does_not_exist"

    @classmethod
    def named(cls, *names: object, guard: str, field: str = "permissions") -> Self:
        """Return the error about those names, to blame on a field."""
        messages = [f"There is no permission named `{name}` for guard `{guard}`." for name in names]
        return cls(" ".join(messages), fields={field: messages})

    @classmethod
    def with_id(cls, key: object, *, guard: str, field: str = "permissions") -> Self:
        """Return the error about that id, to blame on a field."""
        message = f"There is no permission with ID `{key}` for guard `{guard}`."
        return cls(message, fields={field: [message]})


class PermissionAlreadyExists(DomainError, ValueError):
    """A permission of that name exists already."""

    code = "permission_already_exists"
    status = HTTPStatus.CONFLICT

    @classmethod
    def named(cls, name: str, *, guard: str) -> Self:
        """Return the error about that name."""
        message = f"A permission `{name}` already exists for guard `{guard}`."
        return cls(message, fields={"name": [message]})


class PermissionIsDeclared(DomainError, ValueError):
    """A model declares the permission, so it can't be deleted; take it from who holds it instead."""

    code = "permission_is_declared"
    status = HTTPStatus.CONFLICT


class PermissionDoesNotMatch(DomainError, ValueError):
    """The permission isn't one of the object's model."""

    code = "permission_does_not_match"


class InvalidPermissionName(DomainError, ValueError):
    """A permission's name has 1 to 100 printable characters, none of them `|`, and no space at either end."""

    code = "invalid_permission_name"

    def __init__(self, message: str = "") -> None:
        """Blame the field ``name``."""
        super().__init__(message)
        self.fields = {"name": [self.message]}

    @classmethod
    def of_app(cls, name: str) -> Self:
        """Return the error about a name that belongs to an installed app."""
        label = name.split(".", 1)[0]
        return cls(
            f"Permissions under `{label}.` are declared by the app `{label}`, in `Meta.permissions` of a model. "
            "Choose a name that starts otherwise."
        )

    @classmethod
    def of_guard(cls, name: str) -> Self:
        """Return the error about a name that starts with a guard."""
        guard, _, rest = name.partition(".")
        return cls(f"`{name}` is how Django spells `{rest}` of the guard `{guard}`. Leave the guard out.")


class RoleDoesNotExist(DomainError, ValueError):
    """There is no such role."""

    code = "role_does_not_exist"

    @classmethod
    def named(cls, *names: object, guard: str, field: str = "role") -> Self:
        """Return the error about those names, to blame on a field."""
        messages = [f"There is no role named `{name}` for guard `{guard}`." for name in names]
        return cls(" ".join(messages), fields={field: messages})

    @classmethod
    def with_id(cls, key: object, *, guard: str, field: str = "role") -> Self:
        """Return the error about that id, to blame on a field."""
        message = f"There is no role with ID `{key}` for guard `{guard}`."
        return cls(message, fields={field: [message]})


class RoleAlreadyExists(DomainError, ValueError):
    """A role of that name exists already."""

    code = "role_already_exists"
    status = HTTPStatus.CONFLICT

    @classmethod
    def named(cls, name: str, *, guard: str) -> Self:
        """Return the error about that name."""
        message = f"A role `{name}` already exists for guard `{guard}`."
        return cls(message, fields={"name": [message]})


class InvalidRoleName(DomainError, ValueError):
    """A role's name has 1 to 100 printable characters, none of them `|`, and no space at either end."""

    code = "invalid_role_name"

    def __init__(self) -> None:
        """Blame the field ``name``."""
        super().__init__()
        self.fields = {"name": [self.message]}


class InvalidExpiry(DomainError, ValueError):
    """The moment at which a role ends must lie in the future and name its time zone."""

    code = "invalid_expiry"

    def __init__(self) -> None:
        """Blame the field ``expires_at``."""
        super().__init__()
        self.fields = {"expires_at": [self.message]}


class GuardDoesNotExist(DomainError, ValueError):
    """There is no such guard."""

    code = "guard_does_not_exist"

    @classmethod
    def named(cls, guard: object) -> Self:
        """Return the error about that guard."""
        message = f"There is no guard `{guard}`."
        return cls(message, fields={"guard": [message]})


class GuardDoesNotMatch(DomainError, ValueError):
    """A role or permission belongs to another guard."""

    code = "guard_does_not_match"

    @classmethod
    def expected(cls, given: str, expected: Iterable[str]) -> Self:
        """Return the error about a role or permission of the guard ``given``."""
        return cls(
            f"The given role or permission should use guard `{', '.join(expected)}` instead of `{given}`.",
        )


class TeamsNotEnabled(DomainError, RuntimeError):
    """There are no teams: the setting `PERMISSIONS["TEAM_MODEL"]` names no model."""

    code = "teams_not_enabled"


class TeamDoesNotExist(DomainError, ValueError):
    """There is no such team."""

    code = "team_does_not_exist"

    def __init__(self) -> None:
        """Blame the field ``team``."""
        super().__init__()
        self.fields = {"team": [self.message]}


class TeamDoesNotMatch(DomainError, ValueError):
    """The role belongs to another team."""

    code = "team_does_not_match"


class GroupIsLimited(DomainError, ValueError):
    """The group backs a role of one team or of another guard; give the role with `assign_role` instead."""

    code = "group_is_limited"


class InheritanceCycle(DomainError, ValueError):
    """A role can't inherit from itself, directly or through others."""

    code = "inheritance_cycle"


class Escalation(DomainError):
    """You can only give permissions that you hold yourself."""

    code = "escalation"
    status = HTTPStatus.FORBIDDEN


class Unauthorized(DomainError, PermissionDenied):
    """User does not have any of the necessary access rights."""

    code = "permission_denied"
    status = HTTPStatus.FORBIDDEN

    def __init__(
        self, message: str = "", *, required_roles: Iterable[str] = (), required_permissions: Iterable[str] = ()
    ) -> None:
        """Keep what was required; the message tells it only where the settings say so."""
        super().__init__(message)
        self.required_roles = tuple(required_roles)
        self.required_permissions = tuple(required_permissions)


class UserDoesNotExist(DomainError):
    """There is no such user."""

    code = "user_does_not_exist"
    status = HTTPStatus.NOT_FOUND


class WildcardPermissionNotProperlyFormatted(DomainError, ValueError):
    """The pattern has an empty part."""

    code = "wildcard_permission_not_properly_formatted"

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the error about that pattern."""
        return cls(f"The pattern `{name}` has an empty part.")


class WildcardPermissionInvalidArgument(DomainError, ValueError):
    """With patterns, a permission is asked for by its name, its id or its row."""

    code = "wildcard_permission_invalid_argument"


class WildcardPermissionNotImplementsContract(DomainError, ValueError):
    """The class in `PERMISSIONS["WILDCARD_CLASS"]` must take names and have a method `matches`."""

    code = "wildcard_permission_not_implements_contract"

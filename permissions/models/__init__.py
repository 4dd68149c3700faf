"""Tables of the app, beside Django's own."""

import permissions.mixins  # noqa: F401 - first: models and verbs need each other, and this is the order that works
from permissions.models.audit import AuditEvent, AuditHead
from permissions.models.roles import Permission, Role, RoleAssignment, RoleLink, UserGrant, Version

__all__ = ["AuditEvent", "AuditHead", "Permission", "Role", "RoleAssignment", "RoleLink", "UserGrant", "Version"]

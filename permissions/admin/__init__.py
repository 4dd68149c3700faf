"""Pages of the app in the admin."""

from permissions.admin import audit, roles

__all__ = ["audit", "roles"]

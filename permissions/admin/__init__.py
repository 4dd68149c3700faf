"""Pages of the app in the admin."""

from permissions.admin import audit, objects, roles

__all__ = ["audit", "objects", "roles"]

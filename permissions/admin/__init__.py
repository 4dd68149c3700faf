"""Pages of the app in the admin."""

from permissions.admin import roles

__all__ = ["roles"]

"""The verbs of roles and permissions on the user model."""


class HasRoles:
    """Spatie's verbs, in snake_case, one call each into ``services`` and ``selectors``."""

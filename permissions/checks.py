"""Mistakes in ``PERMISSIONS`` that are found at the start; unknown keys and models don't even let the house start."""

from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from permissions import conf


@register("permissions")
def check_settings(app_configs: object, **_: object) -> list[CheckMessage]:
    """E001: a guard is called like an app. E002: a path leads nowhere."""
    settings = conf.get()
    errors: list[CheckMessage] = [
        Error(
            f'PERMISSIONS["GUARDS"] has {guard!r}, and so is an installed app called.',
            hint="Rename the guard: its permissions could not be told from those of the app.",
            id="permissions.E001",
        )
        for guard in conf.find_guards_named_as_apps()
    ]
    paths = {
        "TEAM_RESOLVER": settings.team_resolver,
        "GUARD_RESOLVER": settings.guard_resolver,
        "WILDCARD_CLASS": settings.wildcard_class,
    }
    for key, path in paths.items():
        try:
            if path is not None:
                import_string(path)
        except ImportError as error:
            errors.append(Error(f'PERMISSIONS["{key}"], {path!r}, cannot be imported: {error}.', id="permissions.E002"))
    return errors

"""The settings of the app: ``PERMISSIONS``, one dict, every key optional."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """``PERMISSIONS``, with the defaults of what it doesn't name. A key is the field's name in capitals."""

    #: The guard (namespace of roles and permissions) that holds where no other is named, and Django's own permissions.
    default_guard: str = "web"
    #: All guards there are. One alone, the default, means that nobody need think of guards. No app may be called so.
    guards: tuple[str, ...] = ("web",)
    #: The model whose rows are teams, as ``app.Model``. None leaves teams off.
    team_model: str | None = None
    #: Path of a function that takes a request and returns the team (row or key) it is about, or None.
    team_resolver: str | None = None
    #: Path of a function that takes a request and returns the guard in which it is asked; None is the default guard.
    guard_resolver: str | None = None
    #: Whether permissions are patterns such as ``posts.*``.
    wildcards: bool = False
    #: Path of the class that matches patterns; see ``permissions.wildcard``.
    wildcard_class: str = "permissions.wildcard.WildcardPermission"
    #: Names of roles of the default guard whose holders may everything, but for what they are forbidden.
    super_admin_roles: tuple[str, ...] = ()
    #: Whether active superusers may everything, also what they are forbidden, as in all of Django.
    superuser_bypass: bool = True
    #: Whether a refusal names the permissions that were needed.
    display_permission_in_exception: bool = False
    #: Whether a refusal names the roles that were needed.
    display_role_in_exception: bool = False
    #: How many users' facts a process remembers.
    cached_users: int = 10_000

    @property
    def is_teams_enabled(self) -> bool:
        """Whether roles and permissions can be given in a team."""
        return self.team_model is not None

    def identify(self, app_label: str, codename: str) -> tuple[str, str]:
        """Return guard and name of the permission that Django stores under these two.

        A permission under the label of a guard is free: its codename is its whole name. Every other one is Django's,
        belongs to the default guard and is called ``app_label.codename``.
        """
        return (app_label, codename) if app_label in self.guards else (self.default_guard, f"{app_label}.{codename}")


@cache
def get() -> Conf:
    """Return the settings as they are now.

    Raises:
        ImproperlyConfigured: A key is unknown, or the default guard is not among the guards.
    """
    given: Mapping[str, Any] = getattr(settings, "PERMISSIONS", {})  # Any: values of a settings dict
    names = {field.name.upper(): field.name for field in fields(Conf)}
    if unknown := given.keys() - names.keys():
        message = f"PERMISSIONS has unknown keys: {', '.join(sorted(unknown))}. Known are: {', '.join(sorted(names))}."
        raise ImproperlyConfigured(message)
    values: dict[str, Any] = {  # Any: as above
        names[key]: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    conf = Conf(**values)
    if conf.default_guard not in conf.guards:
        message = f'PERMISSIONS["DEFAULT_GUARD"], {conf.default_guard!r}, is not among PERMISSIONS["GUARDS"].'
        raise ImproperlyConfigured(message)
    return conf


def find_guards_named_as_apps() -> list[str]:
    """Return the guards whose names an installed app has, which would make their permissions look alike."""
    return [guard for guard in get().guards if guard in apps.app_configs]


@cache
def get_team_resolver() -> Callable[[HttpRequest], object] | None:
    """Return the function that says which team a request is about; None where there is none."""
    path = get().team_resolver
    resolver: Callable[[HttpRequest], object] | None = import_string(path) if path else None
    return resolver


@cache
def get_guard_resolver() -> Callable[[HttpRequest], object] | None:
    """Return the function that says in which guard a request is asked; None where there is none."""
    path = get().guard_resolver
    resolver: Callable[[HttpRequest], object] | None = import_string(path) if path else None
    return resolver


@receiver(setting_changed)
def forget(*, setting: str, **_: object) -> None:
    """Read the settings anew after a test has changed them."""
    if setting == "PERMISSIONS":
        get.cache_clear()
        get_team_resolver.cache_clear()
        get_guard_resolver.cache_clear()

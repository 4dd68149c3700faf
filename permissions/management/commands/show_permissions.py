"""Show which role permits what."""

import json
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError

from permissions import conf, scope, selectors
from project.exceptions import DomainError


class Command(BaseCommand):
    """Show, for each guard, a table of roles and permissions."""

    help = "Show which role permits what: a table of permissions (rows) and roles (columns) for each guard."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("guard", nargs="?", help="Show this guard alone.")
        parser.add_argument("--all", action="store_true", help="Show also permissions that no role has.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, guard: str | None, **options: object) -> None:
        try:
            guards = conf.get().guards if guard is None else (scope.check_guard(guard),)
        except DomainError as error:
            raise CommandError(error.message) from error
        shows_all = bool(options["all"])
        found = {name: _read(name, shows_all=shows_all) for name in guards}
        self.stdout.write(
            json.dumps({name: body for name, (body, _) in found.items()}, indent=2)
            if options["json"]
            else "\n\n".join(text for _, text in found.values())
        )


def _read(guard: str, *, shows_all: bool) -> tuple[dict[str, object], str]:
    """Return what a guard holds, for programs and for people."""
    roles = [
        (role, set(selectors.get_permission_names(role=role))) for role in selectors.list_roles().filter(guard=guard)
    ]
    names = {name for _, held in roles for name in held}
    if shows_all:
        names |= {permission.identifier for permission in selectors.list_permissions(guard=guard)}
    body: dict[str, object] = {
        "permissions": sorted(names),
        "roles": [
            {"name": role.name, "team": role.team_id or None, "permissions": sorted(held)} for role, held in roles
        ],
    }
    heads = [f"{role.name} ({role.team_id})" if role.team_id else role.name for role, _ in roles]
    width = max((len(name) for name in names), default=0)
    lines = [f"Guard: {guard}", " | ".join([" " * width, *heads])]
    for name in sorted(names):
        cells = [("✔" if name in held else "·").center(len(head)) for head, (_, held) in zip(heads, roles, strict=True)]
        lines.append(" | ".join([name.ljust(width), *cells]))
    return body, "\n".join(line.rstrip() for line in lines)

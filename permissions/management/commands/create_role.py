"""Make a role, with permissions."""

import json
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from permissions.selectors import get_team, split_names
from permissions.services import find_or_create_permission, find_or_create_role, give_role_permissions
from project.exceptions import DomainError


class Command(BaseCommand):
    """Make a role where it is missing, and give it permissions, which are made where they are missing."""

    help = (
        "Make a role, and give it permissions; both are made where they are missing. Running it again changes nothing."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="Name of the role.")
        parser.add_argument("guard", nargs="?", help="Guard (namespace) of the role; without it the default.")
        parser.add_argument("permissions", nargs="?", default="", help="Names of permissions: 'edit|publish'.")
        parser.add_argument("--team-id", help="Key of the one team that can use the role; without it all can.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, name: str, guard: str | None, permissions: str, team_id: str | None, **options: object) -> None:
        names = [one.strip() for one in split_names(permissions) if one.strip()]
        try:
            with transaction.atomic():
                team = get_team(key=team_id) if team_id else None
                role = find_or_create_role(name=name, guard=guard, team=team)
                if team is not None and not role.team_id:
                    message = (
                        f"A role `{role.name}` of all teams exists already; say it without --team-id to change it."
                    )
                    raise CommandError(message)
                found = [find_or_create_permission(name=one, guard=role.guard) for one in names]
                give_role_permissions(role=role, permissions=found)
        except DomainError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            body = {"id": role.pk, "name": role.name, "guard": role.guard, "team": role.team_id or None}
            self.stdout.write(json.dumps(body | {"permissions": role.get_permission_names()}))
        else:
            self.stdout.write(f"Role `{role.name}` of guard `{role.guard}` is there.")
            if names:
                self.stdout.write(f"It permits: {', '.join(role.get_permission_names())}.")

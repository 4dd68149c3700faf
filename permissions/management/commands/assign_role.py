"""Give a user a role."""

import json
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from permissions import scope, services
from permissions.exceptions import GuardDoesNotMatch
from permissions.selectors import get_guard_names, get_user_by_text
from project.exceptions import DomainError


class Command(BaseCommand):
    """Give a user a role, which is made where it is missing."""

    help = "Give a user a role; the role is made where it is missing. Running it again changes nothing."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", help="Name of the role.")
        parser.add_argument("user", help="E-mail address or id of the user.")
        parser.add_argument("guard", nargs="?", help="Guard (namespace) of the role; without it the default.")
        parser.add_argument("--team-id", help="Key of the team in which the user has it; without it everywhere.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, role: str, user: str, guard: str | None, team_id: str | None, **options: object) -> None:
        try:
            with transaction.atomic():
                found = get_user_by_text(text=user)
                team = None if team_id is None else scope.get_team_key(team_id)
                row = services.find_or_create_role(name=role, guard=guard, team=team)
                if row.guard not in (guards := get_guard_names(found)):
                    raise GuardDoesNotMatch.expected(row.guard, guards)
                services.assign_roles(user=found, roles=[row], team_id=team or "")
        except DomainError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            body = {"user": str(found.pk), "role": row.name, "guard": row.guard, "team": team}
            self.stdout.write(json.dumps(body))
        else:
            self.stdout.write(f"Role `{row.name}` assigned to user ID {found.pk} successfully.")

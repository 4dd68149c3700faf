"""Make a permission that no model declares."""

import json
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError

from permissions.services import find_or_create_permission
from project.exceptions import DomainError


class Command(BaseCommand):
    """Make a permission, where it is missing."""

    help = "Make a permission of a free name, such as 'edit articles'. Running it again changes nothing."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="Name of the permission.")
        parser.add_argument("guard", nargs="?", help="Guard (namespace) of the permission; without it the default.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, name: str, guard: str | None, **options: object) -> None:
        try:
            permission = find_or_create_permission(name=name, guard=guard)
        except DomainError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(
                json.dumps({"id": permission.pk, "name": permission.identifier, "guard": permission.guard})
            )
        else:
            self.stdout.write(f"Permission `{permission.identifier}` of guard `{permission.guard}` is there.")

"""Make the first data of an installation."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import override

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from permissions.services import seed_roles
from project.seed import Credentials, credentials_path, seed


class Command(BaseCommand):
    """Make the roles, the three users and the two OAuth clients of the first minute, where they are missing."""

    help = (
        "Make the roles, the three users and the two OAuth clients of the first minute, where they are missing. "
        "Running it again changes nothing. In production only the roles are made."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the credentials as JSON.")

    @override
    def handle(self, *args: object, **options: object) -> None:
        if not settings.DEV_PAGES:
            roles = ", ".join(role.name for role in seed_roles())
            if options["json"]:
                self.stdout.write(json.dumps(asdict(Credentials()), indent=2))
            else:
                self.stdout.write(f"Roles are there: {roles}. Make the first user with: manage.py createsuperuser")
            return
        try:
            credentials = seed()
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(credentials), indent=2))
        else:
            self.stdout.write(
                f"{len(credentials.users)} users and {len(credentials.clients)} clients are there. "
                f"How they sign in: {credentials_path()}"
            )

"""Make the two OAuth clients of the first minute."""

import json
from argparse import ArgumentParser
from typing import override

from django.conf import settings
from django.core.management.base import BaseCommand

from oauth.services import RegisteredClient, seed_clients


class Command(BaseCommand):
    """Make the two OAuth clients of the first minute, where they are missing."""

    help = (
        "Make the two OAuth clients of the first minute, where they are missing: a public one for the API docs, a "
        "confidential one that acts for itself. Running it again changes nothing. A new secret is printed this once."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the clients as JSON.")

    @override
    def handle(self, *args: object, **options: object) -> None:
        clients = [_describe(client) for client in seed_clients(base_url=settings.BASE_URL)]
        if options["json"]:
            self.stdout.write(json.dumps({"clients": clients}, indent=2))
            return
        for client in clients:
            secret = f", client_secret {client['client_secret']}" if client["client_secret"] else ""
            self.stdout.write(f"{client['name']}: client_id {client['client_id']}{secret}")


def _describe(client: RegisteredClient) -> dict[str, object]:
    application = client.application
    return {
        "name": application.name,
        "client_id": application.client_id,
        "client_secret": client.client_secret,
        "redirect_uris": application.redirect_uris.split(),
        "scopes": list(application.allowed_scopes),
    }

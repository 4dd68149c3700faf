"""Say whether a user may, and why."""

import json
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from permissions import gate
from permissions.selectors import find_objects, get_user_by_text, is_model
from project.exceptions import DomainError


class Command(BaseCommand):
    """Say whether a user may, and each step that leads there."""

    help = "Say whether a user may, at all or with an object, and each step that leads there."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="E-mail address or id of the user.")
        parser.add_argument("permission", help="Name of the permission, such as accounts.view_user.")
        parser.add_argument("object", nargs="?", help="An object, as app.Model:key.")
        parser.add_argument("--guard", help="Guard (namespace) in which to ask; without it the user's first.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, user: str, permission: str, guard: str | None, **options: object) -> None:
        text = options["object"]
        try:
            found = get_user_by_text(text=user)
            decision = gate.explain(found, permission, _find_object(text) if text else None, guard=guard)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(json.dumps(decision.as_dict(), indent=2) if options["json"] else str(decision))


def _find_object(text: object) -> Model:
    """Return the row that ``app.Model:key`` means.

    Raises:
        CommandError: There is no such model or row.
    """
    label, _, key = str(text).partition(":")
    if not is_model(label):
        message = f"{text!r} names no object. Say it as app.Model:key, such as accounts.User:<id>."
        raise CommandError(message)
    found = find_objects([(label, key)]).get((label, key))
    if found is None:
        message = f"There is no {label} with the key {key!r}."
        raise CommandError(message)
    return found

"""Make a user who may do everything, in place of Django's command, which takes weak passwords and records nothing."""

import os
from argparse import ArgumentParser
from collections.abc import Callable
from typing import override

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.exceptions import PasswordRefused
from accounts.services import check_password_strength, ensure_user
from project.management.commands.changepassword import ask_for_password


class Command(BaseCommand):
    """Make a verified user who may do everything."""

    help = (
        "Make a user who may do everything. Asks for what isn't given. With --no-input, address and password come from "
        "DJANGO_SUPERUSER_EMAIL and DJANGO_SUPERUSER_PASSWORD; without a password the user has one sent from the page "
        "for signing in. Exit code: 0, or 1 where nobody was made."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", metavar="EMAIL", help="The user's e-mail address, which is the login.")
        parser.add_argument("--name", metavar="NAME", default="", help="What pages and mails call the user.")
        # Called as Django's own is, by programs too.
        parser.add_argument("--no-input", "--noinput", dest="interactive", action="store_false", help="Ask nothing.")

    @override
    def handle(self, *, email: str | None, name: str, interactive: bool, **options: object) -> None:
        if email is None:
            email = _ask_for_address() if interactive else os.environ.get("DJANGO_SUPERUSER_EMAIL", "")
        model = get_user_model()
        user = model(email=email, name=name)
        try:
            user.clean_fields(exclude={"password"})
        except ValidationError as error:
            message = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
            raise CommandError(message) from error
        if model.objects.filter(email=user.email).exists():
            raise CommandError(_taken(user.email))

        def check(typed: str) -> None:
            check_password_strength(password=typed, user=user)

        password = ask_for_password(self, check) if interactive else _read_password(check)
        _, is_new = ensure_user(email=user.email, name=name, password=password, is_staff=True, is_superuser=True)
        if not is_new:  # somebody was faster
            raise CommandError(_taken(user.email))
        self.stdout.write(f"{user.email} may do everything now.")


def _taken(email: str) -> str:
    return f"{email} has an account already."


def _ask_for_address() -> str:
    """Ask at the terminal.

    Raises:
        CommandError: Nobody is there to answer.
    """
    try:
        return input("E-mail address: ").strip()
    except (EOFError, KeyboardInterrupt) as error:
        message = "Nobody was made: no address was given. Say --email and, without a terminal, --no-input."
        raise CommandError(message) from error


def _read_password(check: Callable[[str], None]) -> str | None:
    """Return the password of the environment, if there is one.

    Raises:
        CommandError: It is too weak.
    """
    password = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
    if password is not None:
        try:
            check(password)
        except PasswordRefused as error:
            raise CommandError("DJANGO_SUPERUSER_PASSWORD: " + " ".join(error.fields["password"])) from error
    return password

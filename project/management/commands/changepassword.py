"""Give a user another password, in place of Django's command, which would leave sessions and tokens alive."""

import getpass
from argparse import ArgumentParser
from collections.abc import Callable
from typing import override

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.exceptions import PasswordRefused
from accounts.services import check_password_strength, set_password


class Command(BaseCommand):
    """Give a user another password, and end all that was opened with the old one."""

    help = (
        "Ask for another password for a user, and end all that was opened with the old one: sessions, tokens, links in "
        "mails. The user is told by mail. Exit code: 0, or 1 where nothing was changed."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="The user's e-mail address.")

    @override
    def handle(self, *, email: str, **options: object) -> None:
        user = get_user_model().objects.filter(email=email).first()
        if user is None:
            message = f"There is no user with the e-mail address {email!r}."
            raise CommandError(message)
        password = ask_for_password(self, lambda typed: check_password_strength(password=typed, user=user))
        set_password(user=user, password=password, now=timezone.now())
        self.stdout.write(f"{user.email} has another password. All sessions and tokens have ended.")


def ask_for_password(command: BaseCommand, check: Callable[[str], None]) -> str:
    """Ask at the terminal, twice, until a password is given that the check doesn't refuse.

    Raises:
        CommandError: Nobody is there to answer.
    """
    while True:
        try:
            password = getpass.getpass("Password: ")
            is_repeated = getpass.getpass("Password (again): ") == password
        except (EOFError, KeyboardInterrupt) as error:
            message = "Nothing was changed: no password was given."
            raise CommandError(message) from error
        if not is_repeated:
            command.stderr.write("The passwords differ.")
            continue
        try:
            check(password)
        except PasswordRefused as error:
            command.stderr.write("\n".join(error.fields["password"]))
            continue
        return password

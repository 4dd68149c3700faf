"""Make the accounts whose addresses are tried; print JSON, as every probe does."""

import json
import sys

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402 - after the set-up
from django.utils import timezone  # noqa: E402 - as above

from accounts.models import User  # noqa: E402 - as above
from benchmarks.accounts.probing import PASSWORD  # noqa: E402 - as above
from benchmarks.accounts.timing import ACCOUNTS, DOORS, list_addresses  # noqa: E402 - as above


def main() -> None:
    """Make them."""
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    password, now = make_password(PASSWORD), timezone.now()
    for door in DOORS:
        for kind in ACCOUNTS:
            User.objects.bulk_create(
                User(
                    email=email,
                    password=make_password(None) if kind == "unusable" else password,
                    email_verified_at=None if kind == "unverified" else now,
                    is_active=kind != "inactive",
                )
                for email in list_addresses(door, kind)
            )
    json.dump({}, sys.stdout)


if __name__ == "__main__":
    main()

"""The peer's side: make the users, measure inside this process, print JSON."""

import json
import sys

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402 - after the set-up
from django.contrib.auth.models import Group, Permission, User  # noqa: E402 - as above
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402 - as above
from rest_framework_simplejwt.settings import api_settings  # noqa: E402 - as above

from benchmarks.accounts import probing  # noqa: E402 - as above
from benchmarks.harness import action, race  # noqa: E402 - as above


def main() -> None:
    """Measure."""
    call_command("migrate", verbosity=0)
    group = Group.objects.create(name="reader")
    group.permissions.add(Permission.objects.get(content_type__app_label="auth", codename="view_user"))
    password = make_password(probing.PASSWORD)
    for email in probing.list_emails():
        User.objects.create(username=email, email=email, password=password).groups.add(group)
    log_in = probing.log_in("/login", "username")
    token, user = log_in()["access"], User.objects.get(username=probing.list_emails()[0])
    read, verify = probing.read(token), JWTAuthentication().get_validated_token
    read()
    found: dict[str, object] = {
        "verify": race({"peer": action(lambda: verify(token.encode()))})["peer"] * 1e6,
        "queries": probing.count_queries(read),
        "login": probing.measure_surplus(log_in, lambda: user.check_password(probing.PASSWORD)),
        "login_statements": probing.count_queries(log_in),
        "algorithm": api_settings.ALGORITHM,
        "hasher": user.password.partition("$")[0],
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

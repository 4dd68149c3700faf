"""Our side: make the users, measure inside this process, print JSON. Run with the settings of ``accounts.settings``."""

import json
import sys
from collections.abc import Iterator

import django
from django.core.management import call_command

django.setup()

from django.conf import settings  # noqa: E402 - after the set-up
from django.test.utils import override_settings  # noqa: E402 - as above
from django.utils import timezone  # noqa: E402 - as above

from accounts import services  # noqa: E402 - as above
from accounts.models import User  # noqa: E402 - as above
from accounts.tokens import read_access_token  # noqa: E402 - as above
from benchmarks.accounts import probing  # noqa: E402 - as above
from benchmarks.harness import action, race  # noqa: E402 - as above
from permissions import registrar  # noqa: E402 - as above
from permissions.models import Role  # noqa: E402 - as above
from project import shared_facts  # noqa: E402 - as above


def main() -> None:
    """Measure."""
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    role = Role.create("reader")
    role.give_permission_to("accounts.view_user")
    users = [
        services.ensure_user(email=email, name="", password=probing.PASSWORD)[0] for email in probing.list_emails()
    ]
    for user in users:
        user.assign_role(role)
    log_in = probing.log_in("/api/v1/auth/login", "email")
    tokens = log_in()
    token, user = tokens["access_token"], User.objects.get(pk=users[0].pk)
    now = timezone.now()
    found: dict[str, object] = {
        "verify": race({"ours": action(lambda: read_access_token(token, now=now))})["ours"] * 1e6,
        "queries": dict(_count_queries(token)),
        "login": probing.measure_surplus(log_in, lambda: user.check_password(probing.PASSWORD)),
        "login_statements": probing.count_queries(log_in),
        "service": probing.measure_surplus(
            lambda: services.sign_in(email=user.email, password=probing.PASSWORD, now=timezone.now()),
            lambda: user.check_password(probing.PASSWORD),
        ),
    }
    json.dump(found, sys.stdout)


def _count_queries(token: str) -> Iterator[tuple[str, int]]:
    read = probing.read(token)
    read()
    assert shared_facts.is_shared()  # noqa: S101 - what is counted must be what is said
    yield "warm", probing.count_queries(read)
    _empty_cache()
    yield "cold", probing.count_queries(read)
    _empty_cache()
    registrar.clear()
    yield "started", probing.count_queries(read)
    with override_settings(SHARED_FACTS=settings.SHARED_FACTS | {"URL": ""}):
        read()
        yield "alone", probing.count_queries(read)


def _empty_cache() -> None:
    from redis import Redis  # noqa: PLC0415 - whose client stays as it is

    Redis.from_url(settings.REDIS_URL).flushdb()


if __name__ == "__main__":
    main()

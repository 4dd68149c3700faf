"""The peer's side: make person and clients, count statements inside this process, print JSON."""

import json
import sys
from datetime import timedelta
from importlib.metadata import version

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth.models import User  # noqa: E402 - after the set-up
from django.utils import timezone  # noqa: E402 - as above
from oauth2_provider.models import AccessToken, Application  # noqa: E402 - as above

from benchmarks.oauth import probing  # noqa: E402 - as above

_SECRET = "a-secret-of-the-benchmark-of-256-random-bits"  # noqa: S105 - as long-lived as the benchmark
_TOKEN = "a-token-of-the-benchmark"  # noqa: S105 - as above


def main() -> None:
    """Measure."""
    call_command("migrate", verbosity=0)
    person = User.objects.create(username=probing.EMAIL, email=probing.EMAIL)
    plain = _make_client("plain", Application.GRANT_CLIENT_CREDENTIALS, is_hashed=False)
    hashed = _make_client("hashed", Application.GRANT_CLIENT_CREDENTIALS, is_hashed=True)
    web = _make_client("web", Application.GRANT_AUTHORIZATION_CODE, is_hashed=False)
    AccessToken.objects.create(  # type: ignore[misc] # the stubs know the settings of the house alone
        user=person, application=web, token=_TOKEN, scope="users:read introspection",
        expires=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    found = {
        "plain": _tell(plain),
        "hashed": _tell(hashed),
        "web": _tell(web),
        "token": _TOKEN,
        "version": version("django-oauth-toolkit"),
        "queries": _count(plain, web, person),
    }
    json.dump(found, sys.stdout)


def _make_client(name: str, grant_type: str, *, is_hashed: bool) -> Application:
    is_web = grant_type == Application.GRANT_AUTHORIZATION_CODE
    client: Application = Application.objects.create(
        name=name,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=grant_type,
        client_secret=_SECRET,
        hash_client_secret=is_hashed,
        redirect_uris=probing.REDIRECT_URI if is_web else "",
        algorithm=Application.RS256_ALGORITHM if is_web else "",
    )
    return client


def _tell(client: Application) -> str:
    return f"{client.client_id}:{_SECRET}"


def _count(plain: Application, web: Application, person: User) -> dict[str, int]:
    login = probing.build_login(*_tell(plain).split(":", 1))
    web_login = probing.build_login(*_tell(web).split(":", 1))
    reader = probing.make_client(authorization=f"Bearer {_TOKEN}")

    def get_token() -> None:
        probing.post("/o/token/", login, grant_type="client_credentials", scope="users:read")

    def read() -> None:
        assert reader.get("/api/v1/read").status_code == 200  # noqa: S101 - a refused request costs less

    def introspect() -> None:
        assert probing.post("/o/introspect/", web_login, token=_TOKEN)["active"]  # noqa: S101 - as above

    for action in (get_token, read, introspect):
        action()
    counts = {"client": probing.count_queries(get_token), "read": probing.count_queries(read)}
    counts["introspect"] = probing.count_queries(introspect)
    browser = probing.make_client()
    browser.force_login(person)  # type: ignore[arg-type] # as above
    asked = probing.build_authorization(web.client_id, "openid profile")
    response = browser.post("/o/authorize/", asked | {"allow": "Authorize"})
    return counts | probing.count_grants("/o/token/", web_login, probing.read_code(response["Location"]))


if __name__ == "__main__":
    main()

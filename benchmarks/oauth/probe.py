"""Our side: make person and clients, count statements inside this process, print JSON."""

import json
import re
import sys
from html import unescape

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - after the set-up
from django.utils import timezone  # noqa: E402 - as above

from accounts.services import Access, Device  # noqa: E402 - as above
from benchmarks.oauth import probing  # noqa: E402 - as above
from oauth.services import RegisteredClient, issue_for_person, register_client  # noqa: E402 - as above

_SCOPES = ["openid", "profile", "offline_access", "users:read"]


def main() -> None:
    """Measure."""
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    person = get_user_model().objects.create(email=probing.EMAIL, email_verified_at=timezone.now())
    service = register_client(
        name="Service", client_type="confidential", grant_types=["client_credentials"], allowed_scopes=["users:read"]
    )
    web = register_client(
        name="Website",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[probing.REDIRECT_URI],
        allowed_scopes=_SCOPES,
    )
    now = timezone.now()
    access = Access(
        user_id=person.pk,
        client_id=web.application.client_id,
        scope=("users:read",),
        authenticated_at=now,
    )
    token = issue_for_person(application=web.application, access=access, device=Device(), now=now).access_token
    found = {
        "service": _tell(service),
        "web": _tell(web),
        "token": token,
        "queries": _count(service, web, token),
    }
    json.dump(found, sys.stdout)


def _tell(client: RegisteredClient) -> str:
    return f"{client.application.client_id}:{client.client_secret}"


def _count(service: RegisteredClient, web: RegisteredClient, token: str) -> dict[str, int]:
    login = probing.build_login(*_tell(service).split(":", 1))
    web_login = probing.build_login(*_tell(web).split(":", 1))
    reader = probing.make_client(authorization=f"Bearer {token}")

    def get_token() -> None:
        probing.post("/oauth/token", login, grant_type="client_credentials", scope="users:read")

    def read() -> None:
        assert reader.get("/api/v1/read").status_code == 200  # noqa: S101 - a refused request costs less

    def introspect() -> None:
        assert probing.post("/oauth/introspect", web_login, token=token)["active"]  # noqa: S101 - as above

    for action in (get_token, read, introspect):
        action()
        action()
    counts = {"client": probing.count_queries(get_token), "read": probing.count_queries(read)}
    counts["introspect"] = probing.count_queries(introspect)
    probing.count_grants("/oauth/token", web_login, _get_code(web))  # with what the first of all makes
    return counts | probing.count_grants("/oauth/token", web_login, _get_code(web))


def _get_code(web: RegisteredClient) -> str:
    browser = probing.make_client()
    browser.force_login(get_user_model().objects.get(email=probing.EMAIL))
    asked = probing.build_authorization(web.application.client_id, "openid profile offline_access")
    response = browser.get("/oauth/authorize", asked)
    if response.status_code == 200:
        field = re.search(r'name="request" value="([^"]*)"', response.content.decode())
        assert field is not None  # noqa: S101 - the page has changed
        response = browser.post("/oauth/consent", {"request": unescape(field[1]), "decision": "allow"})
    return probing.read_code(response["Location"])


if __name__ == "__main__":
    main()

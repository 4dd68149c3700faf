"""The commands that make clients, renew their secrets, and sweep."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from oauth.models import Application, ClientSecret, StoredRequest
from oauth.selectors import get_client_id_by_name
from oauth.services import RegisteredClient
from tests.oauth.flow import Flow

pytestmark = pytest.mark.django_db
_SHOP = ["Shop", "--redirect-uri", "https://shop.example/cb", "--scope", "profile", "--scope", "users:read"]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments: str) -> Any:  # Any: JSON
    return json.loads(run(*arguments, "--json"))


def test_a_website_is_made_and_its_secret_printed_once() -> None:
    made = run_json("create_client", *_SHOP)
    assert (made["created"], made["grant_types"]) == (True, ["authorization_code", "refresh_token"])
    assert (made["redirect_uris"], made["scopes"]) == (["https://shop.example/cb"], ["profile", "users:read"])
    flow = Flow(made["client_id"], made["client_secret"])
    assert flow.introspect("anything") == {"active": False}


def test_the_text_says_what_to_do_next() -> None:
    text = run("create_client", *_SHOP)
    application = Application.objects.get()
    assert f"client_id: {application.client_id}\nclient_secret: {ClientSecret.objects.get().hint}" in text
    assert "/oauth/authorize" in text
    assert "/oauth/token" in run("create_client", "Report", "--grant", "client_credentials", "--scope", "users:read")


@pytest.mark.parametrize("grant", ["device_code", "urn:ietf:params:oauth:grant-type:device_code"])
def test_a_grant_type_goes_by_its_own_name_and_a_device_by_a_short_one(grant: str) -> None:
    run_json("create_client", "Player", "--type", "public", "--grant", grant, "--scope", "profile")
    assert Application.objects.get().grant_types == ["urn:ietf:params:oauth:grant-type:device_code"]


def test_all_options_are_stored(person: User) -> None:
    made = run_json(
        "create_client", "Player", "--type", "public", "--grant", "device_code", "--grant", "refresh_token",
        "--scope", "profile", "--resource", "https://api.example/", "--owner", "PERSON@example.com",
        "--client-id", "player", "--homepage", "https://player.example/", "--opaque", "--origin", "https://player.example",
    )  # fmt: skip
    application = Application.objects.get()
    assert (made["client_id"], made["client_secret"]) == ("player", None)
    assert application.grant_types == ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
    assert (application.user, application.allowed_resources) == (person, ["https://api.example/"])
    assert application.access_token_format == Application.AccessTokenFormat.OPAQUE
    assert (application.homepage_url, application.allowed_origins) == (
        "https://player.example/",
        "https://player.example",
    )


@pytest.mark.parametrize("names", [[], ["--client-id", "shop"]])
def test_a_client_that_is_there_is_left_alone_where_asked(names: list[str]) -> None:
    made = run_json("create_client", *_SHOP, *names, "--if-missing")
    before = Application.objects.values().get()
    again = run_json("create_client", *_SHOP, *names, "--if-missing", "--scope", "roles:write")
    assert (made["created"], again["created"]) == (True, False)
    assert (again["client_id"], again["client_secret"]) == (made["client_id"], None)
    assert Application.objects.values().get() == before
    assert "rotate_client_secret" in run("create_client", *_SHOP, *names, "--if-missing")


def test_a_client_of_somebody_does_not_pass_for_one_of_the_house_by_its_name(person: User) -> None:
    theirs = [
        run_json("create_client", name, *_SHOP[1:], "--owner", person.email)["client_id"]
        for name in ("Shop", "Gatehouse API docs", "Gatehouse demo service")
    ]
    before = list(Application.objects.values().order_by("pk"))
    assert get_client_id_by_name(name="Gatehouse API docs") is None
    assert run_json("create_client", *_SHOP, "--if-missing")["created"]
    seeded = run_json("db_seed_oauth2")["clients"]
    assert not {client["client_id"] for client in seeded} & {*theirs}
    assert get_client_id_by_name(name="Gatehouse API docs") == seeded[0]["client_id"]
    assert list(Application.objects.filter(client_id__in=theirs).values().order_by("pk")) == before
    assert not run_json("create_client", *_SHOP, "--if-missing", "--owner", person.email)["created"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--redirect-uri", "http://shop.example/cb"], "--redirect-uri: http://shop.example/cb: use https://"),
        (["--scope", "unheard:of"], "--scope: There is no scope unheard:of.\nScopes are openid, "),
        (["--grant", "client_credentials", "--type", "public"], "--type: Only a confidential client"),
        (["--owner", "nobody@example.com"], "--owner: there is no active user"),
        (["--resource", "x"], "--resource: x: "),
        (["--client-id", "no spaces"], "--client-id: "),
    ],
)
def test_an_error_names_the_option_and_the_way_out(options: list[str], said: str) -> None:
    with pytest.raises(CommandError) as error:
        run("create_client", *_SHOP, *options)
    assert said in str(error.value)
    assert "othing was stored" in str(error.value)
    assert not Application.objects.exists()


@pytest.mark.parametrize(("hours", "works"), [("1", 200), ("0", 401)])
def test_another_secret_takes_over(confidential: RegisteredClient, hours: str, works: int) -> None:
    client_id = confidential.application.client_id
    renewed = run_json("rotate_client_secret", client_id, "--overlap", hours)
    new, old = Flow(client_id, renewed["client_secret"]), Flow(client_id, confidential.client_secret)
    assert new.introspect("anything") == {"active": False}
    assert old.post("/oauth/introspect", token="anything").status_code == works


@pytest.mark.parametrize("hours", ["-1", "721", "x", "1.5"])
def test_no_other_overlap_is_taken(confidential: RegisteredClient, hours: str) -> None:
    with pytest.raises(CommandError, match="hours"):
        run("rotate_client_secret", confidential.application.client_id, f"--overlap={hours}")
    assert ClientSecret.objects.count() == 1


def test_without_a_client_or_a_secret_nothing_is_renewed(flow: Flow) -> None:
    with pytest.raises(CommandError, match="There is no such client"):
        run("rotate_client_secret", "nobody")
    with pytest.raises(CommandError, match="A public client has no secret"):
        run("rotate_client_secret", flow.client_id)


def test_the_command_sweeps_and_counts(confidential: RegisteredClient) -> None:
    for digest in "ab":
        StoredRequest.objects.create(
            application=confidential.application,
            digest=digest,
            parameters={},
            expires_at=timezone.now() - timedelta(days=1),
        )
    assert run_json("sweep_oauth")["requests"] == 2
    assert "requests: 0\n" in run("sweep_oauth")

"""RFC 9700, best current practice at the authorization endpoint and on the pages around it."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from html.parser import HTMLParser
from math import log2
from typing import override
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from oauth.models import Application, Grant
from oauth.services import register_client
from tests.oauth.devices import DEVICE_CODE, PAGE, Device
from tests.oauth.flow import VERIFIER, Answer, Flow, get_answer, get_hidden
from tests.oauth.passing import let_sessions_pass, set_up
from tests.oauth.walk import PASSWORD, give_password

_APP = "https://app.example"
_ENOUGH_BITS = 128


def _open_sign_in(device: Device, flow: Flow) -> Answer:
    return Client().get(Client().get("/oauth/authorize", flow.build_request())["Location"])


_PAGES: dict[str, Callable[[Device, Flow], Answer]] = {
    "sign in": _open_sign_in,
    "consent": lambda _, flow: flow.open(),
    "error": lambda _, flow: flow.open(client_id="nobody"),
    "device": lambda device, _: device.browser.get(PAGE),
    "decision": lambda device, _: device.enter(device.get_codes()["user_code"]),
    "logout": lambda _, flow: flow.browser.get("/oauth/logout"),
    "form for the client": lambda _, flow: flow.decide(flow.open(response_mode="form_post")),
    "apps": lambda _, flow: flow.browser.get("/accounts/apps/"),
}


@pytest.fixture(params=_PAGES)
def page(request: pytest.FixtureRequest, flow: Flow, device: Device) -> Answer:
    """Each kind of page that the authorization server shows."""
    return _PAGES[request.param](device, flow)


# --- Redirect URIs


@pytest.mark.compliance("RFC 9700", "4.1.3", "a program on one's own computer may listen at any port")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_program_on_this_computer_may_take_any_port(flow: Flow, host: str) -> None:
    Application.objects.update(redirect_uris=f"http://{host}/callback")
    flow.redirect_uri = f"http://{host}:49152/callback"
    code = flow.get_code()
    assert flow.exchange(code, redirect_uri=f"http://{host}:49153/callback").json()["error"] == "invalid_grant"
    assert flow.exchange(flow.get_code()).status_code == 200
    for other in (
        f"http://{host}:49152/other",
        f"https://{host}:49152/callback",
        f"http://{host}.evil.example/callback",
    ):
        assert flow.open(redirect_uri=other).status_code == 400


@pytest.mark.compliance("RFC 9700", "4.12", "no redirect makes a browser send once more what a person typed")
def test_what_a_person_typed_is_sent_on_to_nobody(rp: Flow, person: User) -> None:
    give_password(person)
    rp.browser = Client()
    login = rp.browser.get(rp.open(scope="openid")["Location"])
    form = {"username": person.email, "password": PASSWORD, "next": get_hidden(login, "next")}
    signed_in = rp.browser.post("/accounts/login/", form)
    decided = rp.decide(rp.browser.get(signed_in["Location"]))
    ask = rp.open(scope="openid", prompt="login")
    back = parse_qs(urlsplit(ask["Location"]).query)["next"][0]
    confirmed = rp.browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": back})
    for answer in (signed_in, decided, confirmed):
        assert answer.status_code in {302, 303}
        assert "correct" not in answer["Location"]


# --- PKCE


@pytest.mark.compliance("RFC 9700", "4.8.2", "a verifier is taken only where there was a challenge")
@pytest.mark.parametrize("verifier", [VERIFIER, None])
def test_a_code_without_a_challenge_is_worth_nothing(flow: Flow, verifier: str | None) -> None:
    code = flow.get_code()
    Grant.objects.update(code_challenge="", code_challenge_method="")  # which no request can bring about
    assert flow.exchange(code, code_verifier=verifier).status_code == 400


# --- Who is who


@pytest.mark.compliance("RFC 9700", "4.15", "the house chooses the ids of clients that people make")
def test_nobody_chooses_the_id_of_a_client(person: User) -> None:
    person.user_permissions.add(Permission.objects.get(codename="add_application"))
    browser = Client()
    browser.force_login(person)
    form = {
        "client_id": str(person.pk),
        "name": "Shop",
        "client_type": "confidential",
        "grant_types": ["authorization_code"],
        "redirect_uris": "https://shop.example/cb",
        "allowed_scopes": ["profile"],
        "access_token_format": "jwt",
        "algorithm": "RS256",
    }
    assert browser.post("/accounts/clients/new/", form).status_code == 200
    assert Application.objects.get().client_id != str(person.pk)


@pytest.mark.compliance("RFC 9700", "4.15", "a client that is named like a person is not taken for one")
@pytest.mark.compliance("Security", "TK12", "a client that is named like a person is not taken for one")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_client_that_is_named_like_a_person_is_no_person(service: Flow, person: User, token_format: str) -> None:
    set_up(service.client_id, access_token_format=token_format)
    Application.objects.update(client_id=str(person.pk), allowed_scopes=["profile", "users:read"])
    service.client_id = str(person.pk)
    answer = service.post("/oauth/token", grant_type="client_credentials", scope="profile")
    token = answer.json()["access_token"]
    assert service.call_api(token) == 403
    assert service.call_api(token, "/oauth/userinfo") in {401, 403}
    assert "username" not in service.introspect(token)


# --- What the pages let through


@pytest.mark.compliance("RFC 9700", "2.6", "no script of another origin may use the authorization endpoint")
@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/consent", PAGE])
def test_not_even_the_clients_own_pages_may_use_the_authorization_endpoint(flow: Flow, path: str) -> None:
    set_up(flow.client_id, allowed_origins=_APP)
    headers = {"Origin": _APP, "Access-Control-Request-Method": "POST"}
    assert Client().options("/oauth/token", headers=headers)["Access-Control-Allow-Origin"] == _APP
    for answer in (
        flow.browser.options(path, headers=headers),
        flow.browser.get(path, flow.build_request(), headers=headers),
        flow.browser.post(path, flow.build_request(), headers=headers),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.compliance("RFC 9700", "4.16", "no page can be framed, whatever the age of the browser")
@pytest.mark.compliance("RFC 6749", "10.13", "no page can be framed, whatever the age of the browser")
@pytest.mark.compliance("Security", "AZ13", "no page of the authorization server can be framed")
def test_no_page_can_be_framed(page: Answer) -> None:
    assert page["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]


class _Addresses(HTMLParser):
    """What a page loads by itself, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append((values.get("href", ""), values.get("rel", "")))
        elif tag == "link" or "src" in values:
            self.loaded.append(values.get("src") or values.get("href", ""))


@pytest.mark.compliance("RFC 9700", "4.2.4", "pages load nothing from elsewhere, and no Referer tells of them")
def test_pages_tell_nobody_of_themselves(flow: Flow, page: Answer) -> None:
    found = _Addresses(page.content.decode())
    assert page["Referrer-Policy"] in {"same-origin", "no-referrer"}
    assert found.loaded
    assert all(address.startswith("/") and not address.startswith("//") for address in found.loaded)
    assert all("noreferrer" in rel for href, rel in found.links if urlsplit(href).netloc)


# --- What can't be guessed


def _count_bits(samples: Iterable[str]) -> float:
    """Return how much of a text varies, from many: a part that is always the same, or counts up, adds little."""
    return sum(log2(len(set(characters))) for characters in zip(*samples, strict=False))


@pytest.mark.compliance("RFC 6749", "10.10", "codes, tokens and secrets can't be guessed: 128 bits at least")
@pytest.mark.compliance("RFC 6749", "2.3.1", "a client's secret can't be found by trying")
@pytest.mark.compliance("RFC 7636", "4.4", "a code gives nothing of its challenge away")
def test_codes_tokens_and_secrets_are_random(flow: Flow) -> None:
    set_up(flow.client_id, access_token_format="opaque")
    codes = [flow.get_code() for _ in range(32)]
    tokens = [flow.exchange(code).json() for code in codes]
    secrets = [
        register_client(
            name=f"Service {number}",
            client_type="confidential",
            grant_types=["client_credentials"],
            allowed_scopes=["users:read"],
        ).client_secret
        or ""
        for number in range(32)
    ]
    for samples in (codes, [one["access_token"] for one in tokens], [one["refresh_token"] for one in tokens], secrets):
        assert _count_bits(samples) >= _ENOUGH_BITS


# --- What other servers got wrong


@pytest.mark.compliance("Security", "B16", "what was allowed is remembered when all tokens are gone")
def test_what_was_allowed_outlives_the_tokens(flow: Flow) -> None:
    tokens = flow.get_tokens()
    let_sessions_pass(by=timedelta(days=60))
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert "code" in get_answer(flow.open())


@pytest.mark.compliance("Security", "B8", "a client that chose no algorithm gets ID tokens")
def test_a_client_that_chose_no_algorithm_gets_id_tokens(rp: Flow) -> None:
    Application.objects.update(algorithm="")
    assert rp.get_tokens(scope="openid")["id_token"].count(".") == 2


@pytest.mark.compliance("Security", "B14", "one client may use several grants")
def test_a_client_may_use_several_grants(web: Flow) -> None:
    grants = ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE]
    set_up(web.client_id, grant_types=grants)
    assert web.refresh(web.get_tokens()["refresh_token"]).status_code == 200
    assert web.post("/oauth/token", grant_type="client_credentials", scope="users:read").status_code == 200
    assert Device(web, web.browser).get_tokens()["access_token"]

"""Limits on attempts, over HTTP."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Session, User
from accounts.throttles import Door
from permissions import audit
from tests.accounts.conftest import PASSWORD, ApiResponse

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth"
SPEC = "ASVS 5.0"
WRONG = "not the password"


@pytest.fixture(autouse=True)
def slow_recovery(settings: Settings) -> None:
    """Three attempts of each kind are free, and the wait after them outlasts the test."""
    limit = {"FREE": 3, "FIRST_DELAY_SECONDS": 600, "LONGEST_DELAY_SECONDS": 600, "RECOVERY_SECONDS": 600}
    many = limit | {"FREE": 100}
    limits = {door.name: {"ADDRESS": many, "ACCOUNT": limit | {"FREE": 6}, "PAIR": limit} for door in Door}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": limits}


@pytest.fixture
def few_from_one_address(settings: Settings) -> None:
    changed = {door: {**limits, "ADDRESS": limits["PAIR"]} for door, limits in settings.ACCOUNTS["LIMITS"].items()}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": changed}


def try_password(
    client: APIClient,
    email: str,
    password: str = WRONG,
    *,
    address: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
) -> ApiResponse:
    body = {"email": email, "password": password}
    return client.post(f"{AUTH}/login", body, headers=headers, REMOTE_ADDR=address)


def lock(client: APIClient, email: str) -> None:
    assert [try_password(client, email).status_code for _ in range(3)] == [401] * 3


@pytest.mark.compliance(SPEC, "6.3.1", "passwords can't be guessed by trying: the wait grows, and the answer tells it")
def test_after_a_few_wrong_passwords_not_even_the_right_one_is_taken(api_client: APIClient, user: User) -> None:
    lock(api_client, user.email)
    refused = try_password(api_client, user.email, PASSWORD)
    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    assert (refused.json()["code"], refused.json()["retry_after"]) == ("throttled", int(refused["Retry-After"]))
    assert 590 < refused.json()["retry_after"] <= 600


@pytest.mark.compliance(SPEC, "6.3.1", "credentials that leaked elsewhere can't be tried in bulk from many addresses")
@pytest.mark.compliance("Security", "AC03", "an account has few attempts, from however many addresses")
def test_many_addresses_share_the_attempts_at_one_account(api_client: APIClient, user: User) -> None:
    statuses = [try_password(api_client, user.email, address=f"198.51.100.{number}").status_code for number in range(8)]
    assert statuses == [401] * 6 + [429] * 2


@pytest.mark.compliance(SPEC, "6.1.1", "nobody is locked out by strangers who try their account")
@pytest.mark.compliance("Security", "AC03", "nobody locks the owner of an account out")
def test_the_owner_signs_in_from_a_known_address_while_strangers_try(api_client: APIClient, user: User) -> None:
    assert try_password(api_client, user.email, PASSWORD).status_code == 200
    for number in range(8):
        try_password(api_client, user.email, address=f"198.51.100.{number}")
    assert try_password(api_client, user.email, PASSWORD).status_code == 200


def test_attempts_that_the_account_refuses_use_up_none_of_the_address(
    api_client: APIClient, user: User, settings: Settings
) -> None:
    limits = settings.ACCOUNTS["LIMITS"]
    login = limits["LOGIN"] | {"ADDRESS": limits["LOGIN"]["PAIR"] | {"FREE": 5}}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": limits | {"LOGIN": login}}
    lock(api_client, user.email)
    assert {try_password(api_client, user.email).status_code for _ in range(10)} == {429}
    others = [try_password(api_client, f"{name}@example.com").status_code for name in "abc"]
    assert others == [401, 401, 429]


def test_signing_in_gives_the_attempt_back_to_the_address(
    api_client: APIClient, user: User, few_from_one_address: None
) -> None:
    assert {try_password(api_client, user.email, PASSWORD).status_code for _ in range(5)} == {200}
    strangers = [try_password(api_client, f"{name}@example.com").status_code for name in "abcd"]
    assert strangers == [401, 401, 401, 429]


@pytest.mark.compliance(SPEC, "6.3.8", "limits tell nobody which addresses have an account")
def test_an_account_that_does_not_exist_is_limited_alike(api_client: APIClient, user: User) -> None:
    answers = {}
    for email in (user.email, "nobody@example.com"):
        lock(api_client, email)
        body = try_password(api_client, email).json()
        answers[email] = {name: value for name, value in body.items() if name not in {"request_id", "retry_after"}}
    first, second = answers.values()
    assert {**first, "detail": ""} == {**second, "detail": ""}


def test_signing_in_forgets_the_attempts_before(api_client: APIClient, user: User) -> None:
    for _ in range(3):
        assert try_password(api_client, user.email).status_code == 401
        assert try_password(api_client, user.email).status_code == 401
        assert try_password(api_client, user.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("path", ["register", "login", "refresh", "verify-email"])
@pytest.mark.usefixtures("few_from_one_address")
def test_requests_that_make_no_sense_count_for_the_address(api_client: APIClient, path: str) -> None:
    answers = [api_client.post(f"{AUTH}/{path}", {}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert answers[3]["Content-Type"] == "application/problem+json"
    assert 0 < int(answers[3]["Retry-After"]) <= 600


@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        ({"email": "a@example.com", "password": WRONG, "cookie": True}, {"Origin": "https://evil.example"}, 403),
        ({"email": "no address", "password": WRONG, "more": "x" * 9000}, {}, 400),
        ({"email": "a@example.com", "password": WRONG, "more": "x" * 9000}, {}, 401),
    ],
    ids=["of another origin", "long and without sense", "long"],
)
@pytest.mark.usefixtures("few_from_one_address")
def test_every_request_to_sign_in_counts_for_the_address_once(
    api_client: APIClient, body: dict[str, object], headers: dict[str, str], answer: int
) -> None:
    answers = [api_client.post(f"{AUTH}/login", body, headers=headers).status_code for _ in range(4)]
    assert answers == [answer] * 3 + [429]


@pytest.mark.usefixtures("few_from_one_address")
def test_what_is_no_json_counts_for_the_address(api_client: APIClient) -> None:
    answers = [
        api_client.post(f"{AUTH}/login", "{", content_type=content_type).status_code
        for content_type in ("application/json", "text/plain", "application/json", "application/json")
    ]
    assert answers == [400, 415, 400, 429]


DISGUISES: dict[str, Callable[[APIClient, str], object]] = {
    "a forwarded address": lambda client, email: try_password(
        client, email, headers={"X-Forwarded-For": "198.51.100.9"}
    ),
    "another forwarded address": lambda client, email: try_password(
        client, email, headers={"Forwarded": "for=198.51.100.9"}
    ),
    "a real address": lambda client, email: try_password(client, email, headers={"X-Real-Ip": "198.51.100.9"}),
    "another browser": lambda client, email: try_password(client, email, headers={"User-Agent": "other"}),
    "capitals": lambda client, email: try_password(client, email.upper()),
    "spaces": lambda client, email: try_password(client, f" {email} "),
    "a query": lambda client, email: client.post(f"{AUTH}/login?x=1", {"email": email, "password": WRONG}),
    "another method by header": lambda client, email: try_password(
        client, email, headers={"X-Http-Method-Override": "PUT"}
    ),
    "the page": lambda client, email: client.post(
        "/accounts/login/", {"username": email.title(), "password": WRONG}, format="multipart"
    ),
}


@pytest.mark.compliance(SPEC, "6.3.1", "a limit holds however the request is disguised")
@pytest.mark.compliance("Security", "AU10", "no header, spelling or other way gets past a limit")
@pytest.mark.compliance("Security", "AC03", "no header or spelling makes another client of one")
@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_gets_past_the_limit(api_client: APIClient, user: User, disguise: str) -> None:
    lock(api_client, user.email)
    answer = DISGUISES[disguise](api_client, user.email)
    assert getattr(answer, "status_code", None) == 429


def enter_by_api(email: str, password: str) -> tuple[int, bool]:
    answer = APIClient().post(f"{AUTH}/login", {"email": email, "password": password})
    return answer.status_code, "access_token" in answer.json()


def enter_by_cookie(email: str, password: str) -> tuple[int, bool]:
    client = APIClient()
    answer = client.post(f"{AUTH}/login", {"email": email, "password": password, "cookie": True})
    return answer.status_code, "access_token" in answer.json() or bool(client.cookies)


def enter_by_page(email: str, password: str, start: str = "/accounts/login/") -> tuple[int, bool]:
    client = Client()
    page = client.get(start, follow=True)
    address, _, query = str(page.redirect_chain[-1][0] if page.redirect_chain else start).partition("?")
    form = {"username": email, "password": password, "next": parse_qs(query).get("next", [""])[0]}
    return client.post(address, form).status_code, "_auth_user_id" in client.session


def enter_by_admin(email: str, password: str) -> tuple[int, bool]:
    return enter_by_page(email, password, start="/admin/")


#: Each way in: tries a password, and returns the status and whether one is in.
WAYS_IN: dict[str, Callable[[str, str], tuple[int, bool]]] = {
    "API": enter_by_api,
    "API, in cookie mode": enter_by_cookie,
    "Page": enter_by_page,
    "Admin": enter_by_admin,
}


@pytest.mark.compliance(SPEC, "6.3.4", "every way in makes the same check")
@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("kind", ["good", "wrong", "inactive", "unverified", "unusable"])
def test_no_way_in_lets_in_whom_another_refuses(way: str, kind: str) -> None:
    user = User.objects.create_user(
        "user@example.com",
        None if kind == "unusable" else PASSWORD,
        is_staff=True,
        is_active=kind != "inactive",
        email_verified_at=None if kind == "unverified" else timezone.now(),
    )
    _, is_in = WAYS_IN[way](user.email, WRONG if kind == "wrong" else PASSWORD)
    assert is_in is (kind == "good")
    assert Session.objects.exists() is (kind == "good")
    recorded = audit.list_events().order_by("pk").last()
    assert recorded
    assert recorded.event == ("user.signed_in" if kind == "good" else "user.sign_in_refused")


@pytest.mark.compliance(SPEC, "6.3.4", "all ways in share one count of attempts")
@pytest.mark.parametrize("first", WAYS_IN)
@pytest.mark.parametrize("second", WAYS_IN)
def test_all_ways_in_share_one_count(user: User, first: str, second: str) -> None:
    assert {WAYS_IN[first](user.email, WRONG) for _ in range(3)} <= {(401, False), (200, False)}
    assert WAYS_IN[second](user.email, PASSWORD) == (429, False)


@pytest.mark.compliance(SPEC, "6.3.4", "there is no way in that is not documented")
@pytest.mark.parametrize("address", [f"{AUTH}/me", "/admin/", "/admin/login/", "/accounts/profile/", "/oauth/token"])
def test_no_other_way_takes_a_password(user: User, address: str) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    basic = b64encode(f"{user.email}:{PASSWORD}".encode()).decode()
    form = {"username": user.email, "email": user.email, "password": PASSWORD, "grant_type": "password"}
    for client, headers in ((Client(), {"Authorization": f"Basic {basic}"}), (Client(), {})):
        for answer in (client.get(address, headers=headers), client.post(address, form, headers=headers)):
            assert answer.status_code >= 300
            assert b"access_token" not in answer.content
        assert "_auth_user_id" not in client.session
    assert not Session.objects.exists()


@pytest.mark.compliance(SPEC, "6.1.3", "the ways in are documented with what each checks")
def test_the_documented_ways_in_are_those_that_there_are(settings: Settings) -> None:
    table = (
        (settings.BASE_DIR / "docs" / "accounts.md").read_text().partition("## Ways in\n")[2].partition("\n\n## ")[0]
    )
    told = re.findall(r"^\| (\w+) \| .*`(?:POST )?(/\S*login/?)`", table, re.MULTILINE)
    assert told == [("API", f"{AUTH}/login"), ("Page", "/accounts/login/"), ("Admin", "/accounts/login/")]
    assert {name for name, _ in told} == {way.partition(",")[0] for way in WAYS_IN}


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_no_other_method_and_no_other_path_takes_a_password(api_client: APIClient, user: User, method: str) -> None:
    body = {"email": user.email, "password": PASSWORD}
    for path in (f"{AUTH}/login", f"{AUTH}/login/", f"{AUTH}//login", f"{AUTH}/LOGIN"):
        answer = getattr(api_client, method)(path, body)
        assert b"access_token" not in answer.content


@pytest.mark.compliance("Security", "AU10", "one request tries one account")
@pytest.mark.parametrize("bulk", [["a@example.com", "b@example.com"], {"a": "b"}, None])
def test_one_request_tries_one_account(api_client: APIClient, bulk: object) -> None:
    credentials = {"email": "a@example.com", "password": WRONG}
    assert api_client.post(f"{AUTH}/login", [credentials, credentials]).status_code == 400
    assert api_client.post(f"{AUTH}/login", credentials | {"email": bulk}).status_code == 400


@pytest.mark.compliance("Security", "AU10", "an IPv6 network is one client")
def test_neighbours_in_an_ipv6_network_are_one_client(api_client: APIClient, user: User) -> None:
    statuses = [
        try_password(api_client, user.email, address=f"2001:db8::{number}:1").status_code for number in range(4)
    ]
    assert statuses == [401, 401, 401, 429]


def test_the_page_refuses_with_a_page(client: Client, user: User) -> None:
    form = {"username": user.email, "password": WRONG}
    for _ in range(3):
        assert client.post("/accounts/login/", form).status_code == 200
    refused = client.post("/accounts/login/", form | {"password": PASSWORD})
    assert (refused.status_code, "_auth_user_id" in client.session) == (429, False)
    assert 0 < int(refused["Retry-After"]) <= 600
    assert "Too many attempts" in refused.content.decode()


def test_signing_in_on_the_page_forgets_the_attempts_before(client: Client, user: User) -> None:
    for password in [WRONG, WRONG, PASSWORD] * 3:
        answer = client.post("/accounts/login/", {"username": user.email, "password": password})
        assert answer.status_code == (302 if password == PASSWORD else 200)


@pytest.mark.parametrize("stub", ["register", "verify-email", "refresh"])
def test_a_store_that_does_not_answer_changes_no_answer(api_client: APIClient, settings: Settings, stub: str) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/1"  # where nobody listens
    assert {api_client.post(f"{AUTH}/{stub}", {}).status_code for _ in range(5)} == {400}

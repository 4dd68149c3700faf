"""Which claims clients are told, and what the parameter ``claims`` means."""

import json
from collections.abc import Mapping

import pytest
from django.core.checks import run_checks
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from oauth.claims import ClaimsRequest, describe_person, get_claim_scopes, parse_claims
from tests.oauth.flow import Flow
from tests.oauth.openid import discover, verify

HOOK = "tests.oauth.test_claims.tell_department"


def tell_department(user: User, client_id: str, scopes: frozenset[str]) -> Mapping[str, object]:
    """Be what a project may add: a claim of its own, and some that it may not have."""
    assert client_id
    assert "openid" in scopes
    return {"department": f"of {user.name}", "sub": "somebody-else", "iss": "https://evil.example", "secret": "x"}


def tell_groups(user: User, client_id: str, scopes: frozenset[str]) -> Mapping[str, object]:
    """Tell of claims that are no text, and of one that is the house's."""
    return {"groups": ["staff"], "seat": {"floor": 2}, "email": "other@example.com", "email_verified": True}


@pytest.fixture
def department(settings: Settings) -> None:
    settings.OAUTH = settings.OAUTH | {"CLAIMS": {"department": "profile"}, "CLAIMS_HOOK": HOOK}


def describe(*scopes: str) -> dict[str, object]:
    user = User(email="a@example.com", name="A", email_verified_at=timezone.now())
    return describe_person(user, client_id="c", scopes=scopes)


@pytest.mark.parametrize(
    "text", ["", "null", "{}", '{"userinfo": null, "id_token": null}', '{"other": {"name": null}}']
)
def test_what_asks_for_nothing_asks_for_nothing(text: str) -> None:
    assert parse_claims(text) == ClaimsRequest()


def test_names_values_and_demands_are_read() -> None:
    asked = parse_claims(
        json.dumps(
            {
                "userinfo": {"name": {"essential": True}, "email": None},
                "id_token": {
                    "sub": {"value": "one", "values": ["two"]},
                    "acr": {"essential": True, "values": ["1", "2"]},
                },
            }
        )
    )
    assert asked.userinfo == {"name", "email"}
    assert asked.id_token == {"sub", "acr"}
    assert set(asked.subjects) == {"one", "two"}
    assert asked.essential_acr == ("1", "2")
    assert asked.scopes == {"openid", "profile", "email"}


def test_a_kind_of_sign_in_that_is_only_wished_for_is_no_demand() -> None:
    assert parse_claims('{"id_token": {"acr": {"values": ["9"]}}}').essential_acr == ()


@pytest.mark.parametrize(
    "text",
    [
        *("x", "[]", "1", '"x"', '{"userinfo": 1}', '{"id_token": {"sub": "x"}}', "[" * 3999),
        *('{"id_token": {"sub": {"values": "x"}}}', '{"id_token": {"acr": {"essential": true, "values": [1]}}}'),
        '{"userinfo": {"%s": null}}' % ("a" * 4000),
    ],
)
def test_what_cannot_be_read_is_refused_in_words_that_may_be_told(text: str) -> None:
    with pytest.raises(ValueError, match="claims") as refused:
        parse_claims(text)
    assert not set(str(refused.value)) & set('"\\')


def test_each_scope_gives_its_claims_and_no_others() -> None:
    assert describe("openid") == {}
    assert describe("profile") == {"name": "A"}
    assert describe("email") == {"email": "a@example.com", "email_verified": True}


@pytest.mark.usefixtures("department")
def test_a_project_adds_claims_and_changes_none_of_the_protocol(rp: Flow) -> None:
    tokens = rp.get_tokens(scope="openid profile", claims='{"id_token": {"department": null, "iss": null}}')
    id_token = verify(tokens["id_token"], client_id=rp.client_id)
    userinfo = rp.program.get("/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert id_token["department"] == userinfo["department"] == "of Pat"
    assert userinfo == {"sub": id_token["sub"], "name": "Pat", "department": "of Pat"}
    assert "department" in discover()["claims_supported"]


def test_claims_of_a_project_may_be_lists_and_objects(rp: Flow, settings: Settings) -> None:
    own = {"CLAIMS": {"groups": "profile", "seat": "profile"}, "CLAIMS_HOOK": f"{__name__}.tell_groups"}
    settings.OAUTH = settings.OAUTH | own
    tokens = rp.get_tokens(scope="openid profile", claims='{"id_token": {"groups": null}}')
    assert verify(tokens["id_token"], client_id=rp.client_id)["groups"] == ["staff"]
    assert describe("profile") == {"name": "A", "groups": ["staff"], "seat": {"floor": 2}}


def test_a_project_replaces_no_claim_that_its_settings_do_not_name(settings: Settings) -> None:
    settings.OAUTH = settings.OAUTH | {"CLAIMS": {}, "CLAIMS_HOOK": f"{__name__}.tell_groups"}
    user = User(email="a@example.com", name="A")
    told = describe_person(user, client_id="c", scopes=["openid", "email"])
    assert told == {"email": "a@example.com", "email_verified": False}


def test_a_project_cannot_take_a_name_of_the_protocol(settings: Settings) -> None:
    settings.OAUTH = settings.OAUTH | {"CLAIMS": {"iss": "openid", "acr": "openid", "team": "profile"}}
    assert set(get_claim_scopes()) == {"sub", "name", "email", "email_verified", "team"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"CLAIMS": {"iss": "openid"}}, "iss"),
        ({"CLAIMS": {"team": "nonsense"}}, "team"),
        ({"CLAIMS_HOOK": "nowhere.at_all"}, "nowhere.at_all"),
    ],
)
def test_claims_that_cannot_be_told_are_found_at_the_start(
    settings: Settings, changes: dict[str, object], said: str
) -> None:
    settings.OAUTH = settings.OAUTH | changes
    (found,) = [one for one in run_checks(tags=["oauth"]) if one.id == "oauth.E006"]
    assert said in found.msg


def test_claims_of_a_project_pass(department: None) -> None:
    assert run_checks(tags=["oauth"]) == []

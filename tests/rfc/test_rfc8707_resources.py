"""RFC 8707, resource indicators at the token endpoint."""

import pytest
from django.conf import settings

from oauth.models import Application
from tests.oauth.flow import Answer, Flow, Json, get_answer
from tests.oauth.passing import set_up

SHOP, BANK = "https://shop.example/api", "https://bank.example/v1"
HOUSE = settings.BASE_URL
_FOREIGN = "https://elsewhere.example/"


@pytest.fixture
def clerk(web: Flow) -> Flow:
    """A client that may ask for tokens for two other houses."""
    set_up(web.client_id, allowed_resources=[SHOP, BANK])
    return web


@pytest.fixture
def machine(service: Flow) -> Flow:
    """A client that acts for itself, and may ask for tokens for another house."""
    set_up(service.client_id, allowed_resources=[SHOP])
    return service


def _ask(flow: Flow, *resources: str) -> Json:
    """Return the tokens that a person allowed for some audiences."""
    return dict(flow.exchange(flow.get_code(resource=list(resources) or None)).json())


def _get_audience(flow: Flow, token: str) -> set[str]:
    audience = flow.introspect(token)["aud"]
    return {audience} if isinstance(audience, str) else set(audience)


def _get_error(response: Answer) -> tuple[int, str]:
    return response.status_code, response.json().get("error", "")


@pytest.mark.compliance("RFC 8707", "2", "a token is for the resource that was asked for")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("resources", [(SHOP,), (SHOP, BANK), (HOUSE, SHOP)])
def test_a_token_is_for_what_was_asked(clerk: Flow, resources: tuple[str, ...], token_format: str) -> None:
    set_up(clerk.client_id, access_token_format=token_format)
    token = _ask(clerk, *resources)["access_token"]
    assert _get_audience(clerk, token) == {*resources}
    assert clerk.call_api(token) == (200 if HOUSE in resources else 401)


@pytest.mark.compliance("RFC 8707", "2", "without the parameter a token is for this house")
def test_a_token_is_for_this_house_otherwise(clerk: Flow) -> None:
    assert _get_audience(clerk, _ask(clerk)["access_token"]) == {HOUSE}


@pytest.mark.compliance("RFC 8707", "2.2", "a code may be exchanged for a token for some of what was allowed")
def test_a_code_gives_a_narrower_first_token_and_keeps_the_rest(clerk: Flow) -> None:
    code = clerk.get_code(resource=[SHOP, BANK])
    first = clerk.exchange(code, resource=BANK).json()
    assert _get_audience(clerk, first["access_token"]) == {BANK}
    second = clerk.refresh(first["refresh_token"]).json()
    assert _get_audience(clerk, second["access_token"]) == {SHOP, BANK}


@pytest.mark.compliance("RFC 8707", "2.2", "a refresh may be for some of what was allowed, and narrows one token only")
def test_a_refresh_gives_a_token_for_each_audience(clerk: Flow) -> None:
    token = _ask(clerk, SHOP, BANK)["refresh_token"]
    for resource in (SHOP, BANK):
        answer = clerk.refresh(token, resource=resource).json()
        assert _get_audience(clerk, answer["access_token"]) == {resource}
        token = answer["refresh_token"]


@pytest.mark.compliance("RFC 8707", "2.2", "of two refreshes at once each gets a token for its own audience")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_refresh_that_is_repeated_for_another_audience_is_for_that(clerk: Flow, token_format: str) -> None:
    set_up(clerk.client_id, access_token_format=token_format)
    token = _ask(clerk, SHOP, BANK)["refresh_token"]
    shop, bank = (clerk.refresh(token, resource=resource).json() for resource in (SHOP, BANK))
    assert _get_audience(clerk, shop["access_token"]) == {SHOP}
    assert _get_audience(clerk, bank["access_token"]) == {BANK}
    assert shop["refresh_token"] == bank["refresh_token"]


@pytest.mark.compliance("RFC 9700", "4.14.2", "a refresh token is bound to the audiences that were allowed")
@pytest.mark.compliance("RFC 8707", "2", "what is unknown, not allowed or no absolute URI is invalid_target")
@pytest.mark.parametrize("resource", [_FOREIGN, BANK, f"{SHOP}/", f"{SHOP}#x", "shop", f"{SHOP} {_FOREIGN}", "*"])
def test_more_than_was_allowed_is_refused_and_the_refresh_token_stays(clerk: Flow, resource: str) -> None:
    token = _ask(clerk, SHOP)["refresh_token"]
    assert _get_error(clerk.refresh(token, resource=resource)) == (400, "invalid_target")
    assert _get_error(clerk.exchange(clerk.get_code(resource=SHOP), resource=resource)) == (400, "invalid_target")
    assert clerk.refresh(token).status_code == 200


@pytest.mark.compliance("RFC 8707", "2.2", "a grant for this house gives no token for another")
def test_a_grant_for_this_house_gives_no_token_for_another(clerk: Flow) -> None:
    tokens = _ask(clerk)
    assert _get_error(clerk.refresh(tokens["refresh_token"], resource=SHOP)) == (400, "invalid_target")
    assert clerk.refresh(tokens["refresh_token"], resource=HOUSE).status_code == 200


@pytest.mark.compliance("RFC 8707", "2.1", "what the client may not have is refused before the person is asked")
def test_the_authorization_endpoint_refuses_a_foreign_resource(clerk: Flow) -> None:
    assert get_answer(clerk.open(resource=_FOREIGN))["error"] == "invalid_target"


@pytest.mark.compliance("RFC 8707", "2", "an audience that was taken from the client is in no token from then on")
@pytest.mark.django_db(transaction=True)
def test_an_audience_that_was_taken_away_is_gone(clerk: Flow) -> None:
    both, one = _ask(clerk, SHOP, BANK), _ask(clerk, BANK)
    set_up(clerk.client_id, allowed_resources=[SHOP])
    assert clerk.introspect(both["access_token"]) == {"active": False}
    assert _get_audience(clerk, clerk.refresh(both["refresh_token"]).json()["access_token"]) == {SHOP}
    assert _get_error(clerk.refresh(one["refresh_token"])) == (400, "invalid_target")


@pytest.mark.compliance("RFC 8707", "2.2", "a client that acts for itself may name resources, too")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_client_gets_a_token_of_its_own_for_a_resource(machine: Flow, token_format: str) -> None:
    set_up(machine.client_id, access_token_format=token_format)
    answer = machine.post("/oauth/token", grant_type="client_credentials", resource=SHOP).json()
    assert _get_audience(machine, answer["access_token"]) == {SHOP}
    assert machine.call_api(answer["access_token"], "/api/v1/users") == 401
    both = machine.post("/oauth/token", grant_type="client_credentials", resource=[SHOP, HOUSE]).json()
    assert _get_audience(machine, both["access_token"]) == {SHOP, HOUSE}
    usual = machine.post("/oauth/token", grant_type="client_credentials").json()
    assert _get_audience(machine, usual["access_token"]) == {HOUSE}


@pytest.mark.compliance("RFC 8707", "2", "what is unknown, not allowed or no absolute URI is invalid_target")
@pytest.mark.parametrize("resource", [_FOREIGN, BANK, f"{HOUSE}/"])
def test_a_client_gets_no_token_of_its_own_for_a_foreign_resource(machine: Flow, resource: str) -> None:
    response = machine.post("/oauth/token", grant_type="client_credentials", resource=[SHOP, resource])
    assert _get_error(response) == (400, "invalid_target")
    assert Application.objects.get().allowed_resources == [SHOP]

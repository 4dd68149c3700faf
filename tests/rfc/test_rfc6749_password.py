"""RFC 6749 §4.3, the password grant: off unless the house switches it on, and then for old clients only."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Session, User
from accounts.services import set_password
from oauth.models import Application, Consent
from oauth.services import register_client
from permissions import audit
from tests.oauth.devices import get_error
from tests.oauth.flow import Answer, Flow

PASSWORD = "correct horse battery staple"
WRONG = "quite another password"


@pytest.fixture
def allowed(settings: Settings) -> None:
    """A house that has switched the grant on."""
    settings.OAUTH = settings.OAUTH | {"ALLOW_PASSWORD_GRANT": True}


@pytest.fixture
def ada(db: None) -> User:
    """A person with a password."""
    user = User.objects.create(email="ada@example.com", email_verified_at=timezone.now())
    set_password(user=user, password=PASSWORD, now=timezone.now() - timedelta(minutes=1))
    return user


@pytest.fixture(params=["public", "confidential"])
def old(request: pytest.FixtureRequest, ada: User) -> Flow:
    """A client that may take passwords."""
    client = register_client(
        name="Old program",
        client_type=request.param,
        grant_types=["password", "refresh_token"],
        allowed_scopes=["profile", "users:read"],
    )
    return Flow(client.application.client_id, client.client_secret)


@pytest.fixture(autouse=True)
def _no_attempts() -> Iterator[None]:
    yield
    cache.clear()


def ask(flow: Flow, password: str | None = PASSWORD, **form: str | None) -> Answer:
    return flow.post(
        "/oauth/token", **{"grant_type": "password", "username": "ada@example.com", "password": password, **form}
    )


@pytest.mark.compliance("Security", "D17", "the password grant is off")
@pytest.mark.compliance("RFC 9700", "2.4", "the password grant doesn't exist unless the house has switched it on")
@pytest.mark.compliance("Security", "TK13", "password, implicit and unknown grants are refused by name")
def test_the_grant_is_off(old: Flow, client: Client) -> None:
    assert get_error(ask(old)) == "unsupported_grant_type"
    assert get_error(ask(old, WRONG)) == "unsupported_grant_type"
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert "password" not in document["grant_types_supported"]


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 8414", "2", "the grant is named in the metadata where it is switched on")
def test_the_metadata_name_the_grant_where_it_is_on(client: Client) -> None:
    assert "password" in client.get("/.well-known/oauth-authorization-server").json()["grant_types_supported"]


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 6749", "4.3.3", "the right password gives tokens that work")
def test_the_right_password_gives_tokens(old: Flow) -> None:
    response = ask(old)
    tokens = response.json()
    assert response["Cache-Control"] == "no-store"
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "profile")
    assert old.call_api(tokens["access_token"]) == 200
    assert old.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 6749", "4.3.2", "username and password are required, each once")
def test_username_and_password_are_required(old: Flow) -> None:
    assert get_error(ask(old, None)) == "invalid_request"
    assert get_error(ask(old, username=None)) == "invalid_request"
    assert get_error(ask(old, "")) == "invalid_request"


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 6749", "4.3.2", "a confidential client authenticates before any password is looked at")
def test_the_client_authenticates_first(old: Flow) -> None:
    form = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD}
    if old.secret is not None:
        form["client_id"] = old.client_id
    response = old.post_anonymously("/oauth/token", **form)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert not audit.list_events(event="user.sign_in_refused").exists()


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("password", [PASSWORD, WRONG])
@pytest.mark.compliance("RFC 6749", "5.2", "a client that isn't registered for the grant learns nothing of a password")
def test_other_clients_are_refused(web: Flow, ada: User, password: str) -> None:
    assert get_error(ask(web, password)) == "unauthorized_client"
    assert not audit.list_events(event="user.sign_in_refused").exists()


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 6749", "4.3.2", "scope is optional, and limited to what the client may ask for")
def test_scope_is_limited(old: Flow) -> None:
    assert ask(old, scope="users:read").json()["scope"] == "users:read"
    assert get_error(ask(old, scope="roles:write")) == "invalid_scope"


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 6749", "4.3.2", "who may not sign in gets nothing, and nobody learns why")
def test_all_refusals_are_one(old: Flow, ada: User) -> None:
    bodies = {ask(old, WRONG).content, ask(old, username="nobody@example.com").content, ask(old, "x" * 300).content}
    User.objects.update(email_verified_at=None)
    bodies.add(ask(old).content)
    User.objects.update(email_verified_at=timezone.now(), is_active=False)
    bodies.add(ask(old).content)
    assert len(bodies) == 1
    assert get_error(ask(old)) == "invalid_grant"
    assert not Session.objects.exists()


@pytest.mark.usefixtures("allowed")
@pytest.mark.compliance("RFC 6749", "4.3.2", "guesses at passwords are limited, together with those at sign-in")
def test_guesses_are_limited_together_with_sign_in(old: Flow) -> None:
    browser = Client()
    for _ in range(3):
        ask(old, WRONG)
        browser.post("/accounts/login/", {"username": "ada@example.com", "password": WRONG})
    refused = ask(old)
    assert (refused.status_code, refused.json()["error"]) == (429, "temporarily_unavailable")
    assert int(refused["Retry-After"]) > 0
    assert browser.post("/accounts/login/", {"username": "ada@example.com", "password": PASSWORD}).status_code == 429


@pytest.mark.usefixtures("allowed")
def test_what_is_given_is_recorded_and_can_be_taken_back(old: Flow, ada: User) -> None:
    access_token = ask(old).json()["access_token"]
    ask(old, WRONG)
    names = [event.event for event in audit.list_events(event="user.") if event.subject_id == str(ada.pk)]
    assert {"user.password_given", "user.sign_in_refused"} <= set(names)
    assert PASSWORD not in str(list(audit.list_events().values()))
    assert Consent.objects.get().application == Application.objects.get()
    set_password(user=ada, password="yet another horse battery", now=timezone.now())
    assert old.call_api(access_token) == 401


@pytest.mark.usefixtures("allowed")
def test_the_session_is_one_of_the_client_by_password(old: Flow) -> None:
    ask(old, scope="users:read")
    session = Session.objects.get()
    assert (session.kind, session.client_id) == (Session.Kind.CLIENT, old.client_id)
    assert (session.amr, session.scope) == ("pwd", "users:read")

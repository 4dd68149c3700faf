"""What people see and change of their own account over HTTP, and its end."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import EmailToken, User
from accounts.services import TokenPair
from tests.accounts.clients import AUTH, MISLEADING_NAMES, PLAIN_NAMES, as_holder, is_alive, log_in, read_problem
from tests.accounts.conftest import PASSWORD, ApiResponse, Issue

pytestmark = pytest.mark.django_db

NEW_EMAIL = "new@example.com"
#: What nobody gives themselves.
RIGHTS: dict[str, object] = {
    "id": "00000000-0000-0000-0000-000000000000",
    "email": "root@example.com",
    "email_verified": True,
    "email_verified_at": "2020-01-01T00:00:00Z",
    "is_active": False,
    "is_staff": True,
    "is_superuser": True,
    "groups": ["admin"],
    "roles": ["admin"],
    "role": "admin",
    "permissions": ["accounts.view_user"],
    "user_permissions": [1],
    "password": "md5$x$0cc175b9c0f1b6a831c399e269772661",
    "last_login": "2020-01-01T00:00:00Z",
    "created_at": "2020-01-01T00:00:00Z",
}

type MakeLink = Callable[..., str]


@pytest.fixture
def make_link(user: User) -> MakeLink:
    """Return a function that makes the token of a link that gives the user another address."""

    def make(**options: object) -> str:
        make_token: MakeLink = services.make_email_token
        purpose = EmailToken.Purpose.CHANGE_EMAIL
        return make_token(**({"user": user, "purpose": purpose, "email": NEW_EMAIL, "now": timezone.now()} | options))

    return make


@pytest.fixture
def long_signed_in(user: User, pair: TokenPair, issue: Issue) -> APIClient:
    """A client whose user showed six minutes ago who they are."""
    shown = timezone.now() - timedelta(minutes=6)
    return as_holder(issue(user.pk, session_id=pair.session.pk, authenticated_at=shown, amr=["pwd"]))


def read_row(user: User) -> dict[str, object]:
    return dict(User.objects.filter(pk=user.pk).values().get())


def confirm(token: str) -> ApiResponse:
    return APIClient().post(f"{AUTH}/email/change/confirm", {"token": token})


# --- The profile ------------------------------------------------------------------------------------------------------


def test_the_name_changes(signed_in: APIClient, user: User) -> None:
    response = signed_in.patch(f"{AUTH}/me", {"name": "Ada Lovelace"})
    assert (response.status_code, response.json()["name"]) == (200, "Ada Lovelace")
    assert read_row(user)["name"] == "Ada Lovelace"


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_may_be_in_any_script(signed_in: APIClient, name: str) -> None:
    assert signed_in.patch(f"{AUTH}/me", {"name": name}).json()["name"] == name


@pytest.mark.parametrize("name", MISLEADING_NAMES)
def test_a_name_that_could_mislead_is_refused(signed_in: APIClient, api_client: APIClient, name: str) -> None:
    assert read_problem(signed_in.patch(f"{AUTH}/me", {"name": name})) == (400, "invalid")
    body = {"email": "new@example.com", "password": PASSWORD, "name": name}
    assert read_problem(api_client.post(f"{AUTH}/register", body)) == (400, "invalid")


def test_the_name_may_be_empty(signed_in: APIClient, user: User) -> None:
    assert signed_in.patch(f"{AUTH}/me", {"name": ""}).status_code == 200
    assert read_row(user)["name"] == ""


def test_what_is_left_out_stays(signed_in: APIClient, user: User) -> None:
    before = read_row(user)
    assert signed_in.patch(f"{AUTH}/me", {}).status_code == 200
    assert read_row(user) == before


@pytest.mark.compliance("ASVS 5.0", "15.3.3", "A member that isn't the user's to change changes nothing")
@pytest.mark.compliance("Security", "AC01", "who changes the profile takes no rights along")
@pytest.mark.parametrize("name", RIGHTS)
def test_a_change_of_the_profile_takes_no_rights(signed_in: APIClient, user: User, name: str) -> None:
    before = read_row(user)
    response = signed_in.patch(f"{AUTH}/me", {name: RIGHTS[name]})
    assert response.status_code in {200, 400}
    assert read_row(user) == before
    assert not user.groups.exists()
    assert not user.user_permissions.exists()


@pytest.mark.compliance("ASVS 5.0", "15.3.3", "A registration sets nothing but address, password and name")
@pytest.mark.compliance("Security", "AC01", "who signs up by the API takes no rights along")
@pytest.mark.parametrize("name", set(RIGHTS) - {"email", "password"})
def test_a_registration_takes_no_rights(api_client: APIClient, name: str) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, name: RIGHTS[name]}
    assert api_client.post(f"{AUTH}/register", body).status_code == 202
    user = User.objects.get()
    flags = (user.is_active, user.is_staff, user.is_superuser, user.email_verified_at, user.last_login)
    assert flags == (True, False, False, None, None)
    assert str(user.pk) != RIGHTS["id"]
    assert not user.groups.exists()
    assert not user.user_permissions.exists()


# --- Another address --------------------------------------------------------------------------------------------------


def test_asking_for_another_address_changes_nothing_yet(signed_in: APIClient, user: User, pair: TokenPair) -> None:
    assert signed_in.post(f"{AUTH}/email/change", {"email": NEW_EMAIL}).status_code == 202
    assert read_row(user)["email"] == user.email
    assert is_alive(pair)


def test_a_taken_address_is_answered_as_a_free_one(signed_in: APIClient) -> None:
    User.objects.create_user("taken@example.com", PASSWORD)
    answers = [signed_in.post(f"{AUTH}/email/change", {"email": email}) for email in (NEW_EMAIL, "taken@example.com")]
    assert (answers[0].status_code, answers[0].content) == (answers[1].status_code, answers[1].content)


def test_a_link_changes_the_address_and_signs_nobody_in(user: User, make_link: MakeLink) -> None:
    response = confirm(make_link())
    assert (response.status_code, set(response.json())) == (200, {"detail"})
    assert not response.cookies
    assert [log_in(APIClient(), email).status_code for email in (user.email, NEW_EMAIL)] == [401, 200]


@pytest.mark.compliance("Security", "JW07", "a token is dead once the address is another")
def test_another_address_ends_all_sessions(pair: TokenPair, make_link: MakeLink) -> None:
    confirm(make_link())
    assert not is_alive(pair)


def test_an_address_that_was_taken_meanwhile_is_answered_409(user: User, make_link: MakeLink, pair: TokenPair) -> None:
    token = make_link()
    User.objects.create_user(NEW_EMAIL, PASSWORD)
    assert read_problem(confirm(token)) == (409, "email_in_use")
    assert is_alive(pair)


@pytest.mark.compliance("Security", "AC12", "an expired link changes no address, also before it is swept")
@pytest.mark.parametrize("hours", [25, 1000])
def test_an_expired_link_is_refused_before_it_is_swept(make_link: MakeLink, hours: int) -> None:
    assert read_problem(confirm(make_link(now=timezone.now() - timedelta(hours=hours)))) == (400, "invalid")


@pytest.mark.compliance("Security", "AC11", "an address is changed by the link alone")
def test_a_step_cannot_be_left_out(signed_in: APIClient, user: User) -> None:
    signed_in.post(f"{AUTH}/email/change", {"email": NEW_EMAIL})
    statuses = [confirm(token).status_code for token in ("", NEW_EMAIL, str(user.pk), "x" * 43)]
    assert statuses == [400] * 4
    assert read_row(user)["email"] == user.email


# --- What needs a recent sign-in --------------------------------------------------------------------------------------

SENSITIVE = [("POST", "email/change"), ("DELETE", "me"), ("GET", "export")]


@pytest.mark.compliance("ASVS 5.0", "7.5.1", "Who signed in a while ago gives the password again before such changes")
@pytest.mark.parametrize(("method", "path"), SENSITIVE)
def test_an_old_sign_in_is_not_enough(long_signed_in: APIClient, user: User, method: str, path: str) -> None:
    response = long_signed_in.generic(method, f"{AUTH}/{path}", '{"email": "new@example.com"}', "application/json")
    assert read_problem(response) == (401, "insufficient_user_authentication")
    assert User.objects.filter(pk=user.pk).exists()


@pytest.mark.compliance("ASVS 5.0", "7.5.1", "Giving the password again opens such changes")
@pytest.mark.parametrize(
    ("method", "path", "status"), [(*one, status) for one, status in zip(SENSITIVE, [202, 204, 200], strict=True)]
)
def test_the_password_given_again_is_enough(long_signed_in: APIClient, method: str, path: str, status: int) -> None:
    token = long_signed_in.post(f"{AUTH}/reauthenticate", {"password": PASSWORD}).json()["access_token"]
    content = '{"email": "new@example.com"}'
    response = as_holder(token).generic(method, f"{AUTH}/{path}", content, "application/json")
    response.getvalue()  # who reads a file closes it
    assert response.status_code == status


def test_a_refresh_is_no_sign_in(user: User, pair: TokenPair) -> None:
    pair.session.authenticated_at = timezone.now() - timedelta(minutes=6)
    pair.session.save()
    renewed = APIClient().post(f"{AUTH}/refresh", {"refresh_token": pair.refresh_token}).json()
    assert as_holder(renewed["access_token"]).delete(f"{AUTH}/me").status_code == 401


def test_a_token_that_does_not_say_when_is_not_enough(user: User, issue: Issue) -> None:
    assert as_holder(issue(user.pk)).delete(f"{AUTH}/me").status_code == 401


def test_what_is_not_sensitive_stays_open_to_an_old_sign_in(long_signed_in: APIClient) -> None:
    assert long_signed_in.get(f"{AUTH}/me").status_code == 200
    assert long_signed_in.patch(f"{AUTH}/me", {"name": "Ada"}).status_code == 200


# --- The end ----------------------------------------------------------------------------------------------------------


def test_a_deleted_account_is_gone(signed_in: APIClient, user: User) -> None:
    assert signed_in.delete(f"{AUTH}/me").status_code == 204
    assert not User.objects.exists()
    assert log_in(APIClient(), user.email).status_code == 401


def test_the_address_of_a_deleted_account_can_be_registered_and_old_tokens_stay_dead(
    signed_in: APIClient, user: User, pair: TokenPair
) -> None:
    signed_in.delete(f"{AUTH}/me")
    User.objects.create_user(user.email, PASSWORD, id=user.pk, email_verified_at=timezone.now())
    assert not is_alive(pair)


def test_an_account_is_deleted_once(signed_in: APIClient) -> None:
    assert [signed_in.delete(f"{AUTH}/me").status_code for _ in range(2)] == [204, 401]


# --- Verifying --------------------------------------------------------------------------------------------------------


def test_verifying_signs_nobody_in(api_client: APIClient, unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=timezone.now())
    response = api_client.post(f"{AUTH}/verify-email", {"token": token})
    assert (response.status_code, set(response.json()), len(response.cookies)) == (200, {"detail"}, 0)


@pytest.mark.compliance("Security", "AC12", "an expired link verifies no address, also before it is swept")
def test_an_expired_verification_is_refused_before_it_is_swept(api_client: APIClient, unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=timezone.now() - timedelta(hours=25))
    assert api_client.post(f"{AUTH}/verify-email", {"token": token}).status_code == 400
    assert log_in(api_client, unverified.email).status_code == 403

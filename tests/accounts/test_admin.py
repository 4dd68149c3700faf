from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import selectors, tokens
from accounts.exceptions import InvalidRefreshToken, InvalidToken
from accounts.models import EmailToken, RefreshToken, Revocation, Session, SigningKey, User
from accounts.services import TokenPair, refresh
from permissions.services import create_role
from tests.accounts.conftest import PASSWORD, PageResponse

type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db

USERS = "/admin/accounts/user/"
SESSIONS = "/admin/accounts/session/"
NEW_PASSWORD = "another long password"


def make_staff(*codenames: str) -> User:
    staff = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True, email_verified_at=timezone.now())
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts", codename__in=codenames))
    return staff


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root() -> Client:
    return client_of(User.objects.create_superuser("root@example.com", PASSWORD))


@pytest.fixture
def staff() -> Client:
    """Somebody who may do everything with users and sessions but is no superuser."""
    return client_of(
        make_staff("add_user", "change_user", "view_user", "delete_user", "view_session", "change_session")
    )


def change(client: Client, user: User, **fields: str) -> PageResponse:
    rows = {f"role_assignments-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    values = {"email": user.email, "name": user.name, "is_active": "on"} | rows | fields
    return client.post(f"{USERS}{user.pk}/change/", {key: value for key, value in values.items() if value})


def is_alive(pair: TokenPair) -> bool:
    now = timezone.now()
    try:
        selectors.get_token_user(claims=tokens.read_access_token(pair.access_token, now=now))
    except InvalidToken:
        return False
    return True


def test_the_admin_is_entered_with_the_address() -> None:
    User.objects.create_superuser("root@example.com", PASSWORD)
    response = Client().post("/accounts/login/?next=/admin/", {"username": "Root@example.com", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/admin/")


def test_users_are_listed_and_found(root: Client, user: User) -> None:
    page = root.get(f"{USERS}?q=user@&is_active__exact=1&email_verified_at__isempty=0").content.decode()
    assert user.email in page
    assert "root@example.com</a>" not in page


def test_the_password_is_shown_as_a_summary_only(root: Client, user: User) -> None:
    page = root.get(f"{USERS}{user.pk}/change/").content.decode()
    assert user.password not in page
    assert 'name="password"' not in page
    assert root.get(f"{USERS}{user.pk}/password/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_an_added_user_is_sent_a_verification_link(root: Client, run_jobs: RunJobs) -> None:
    fields = {"email": "New@example.com", "name": "New", "usable_password": "true"}
    response = root.post(f"{USERS}add/", fields | {"password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 302
    run_jobs()
    assert [message.to for message in mail.outbox] == [["new@example.com"]]
    assert User.objects.get(email="new@example.com").check_password(PASSWORD)


def test_an_address_in_use_is_refused_in_any_case(root: Client, user: User) -> None:
    fields = {"email": user.email.upper(), "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    response = root.post(f"{USERS}add/", fields)
    assert (response.status_code, User.objects.count()) == (200, 2)
    assert "This e-mail address is in use." in response.content.decode()


def test_a_weak_password_is_refused(root: Client) -> None:
    fields = {"email": "new@example.com", "usable_password": "true", "password1": "short", "password2": "short"}
    assert root.post(f"{USERS}add/", fields).status_code == 200
    assert not User.objects.filter(email="new@example.com").exists()


def test_names_and_flags_can_be_changed(root: Client, user: User) -> None:
    assert change(root, user, name="Grace", is_staff="on").status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff, user.is_active) == ("Grace", True, True)
    assert user.email_verified_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_changed_address_is_to_be_verified_anew(root: Client, user: User, run_jobs: RunJobs) -> None:
    change(root, user, email="moved@example.com")
    run_jobs()
    assert User.objects.get(pk=user.pk).email_verified_at is None
    assert [message.to for message in mail.outbox] == [["moved@example.com"]]


def test_deactivating_a_user_kills_sessions_for_good(root: Client, user: User, pair: TokenPair) -> None:
    change(root, user, is_active="")
    assert not is_alive(pair)
    change(root, user)
    assert User.objects.get(pk=user.pk).is_active
    assert not is_alive(pair)


def test_deleting_a_user_kills_the_tokens(root: Client, user: User, pair: TokenPair) -> None:
    assert root.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
    assert not is_alive(pair)


def test_staff_cannot_raise_anybody(staff: Client, user: User) -> None:
    assert change(staff, user, name="Grace", is_staff="on", is_superuser="on").status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff, user.is_superuser) == ("Grace", False, False)


@pytest.mark.parametrize("page", ["change", "password", "delete"])
def test_staff_cannot_touch_a_superuser(staff: Client, page: str) -> None:
    superuser = User.objects.create_superuser("root@example.com", PASSWORD)
    response = staff.post(f"{USERS}{superuser.pk}/{page}/", {"post": "yes", "name": "Taken", "is_active": "on"})
    assert response.status_code == 403
    superuser.refresh_from_db()
    assert (superuser.name, superuser.check_password(PASSWORD)) == ("", True)


def give_role_of_more(user: User) -> None:
    create_role(name="powerful", permissions=["accounts.view_user", "permissions.add_role"])
    user.assign_role("powerful")


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("page", ["change", "password", "delete"])
def test_staff_cannot_touch_a_user_who_holds_more(staff: Client, user: User, page: str, is_active: bool) -> None:
    give_role_of_more(user)
    User.objects.filter(pk=user.pk).update(is_active=is_active)
    body = {"post": "yes", "email": "taken@example.com", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert staff.post(f"{USERS}{user.pk}/{page}/", body).status_code == 403
    user.refresh_from_db()
    assert (user.email, user.check_password(PASSWORD)) == ("user@example.com", True)


def test_staff_cannot_touch_a_user_who_was_given_more_directly(staff: Client, user: User) -> None:
    user.user_permissions.set(Permission.objects.filter(codename="add_role"))
    assert change(staff, user, email="taken@example.com").status_code == 403


def test_staff_cannot_delete_a_user_who_holds_more_by_the_list(staff: Client, user: User) -> None:
    give_role_of_more(user)
    staff.post(USERS, {"action": "delete_selected", "_selected_action": [str(user.pk)], "post": "yes"})
    assert User.objects.filter(pk=user.pk).exists()


def test_staff_may_change_a_user_who_holds_as_much(staff: Client, user: User) -> None:
    create_role(name="viewer", permissions=["accounts.view_user"])
    user.assign_role("viewer")
    assert change(staff, user, name="Grace").status_code == 302
    assert User.objects.get(pk=user.pk).name == "Grace"


def test_staff_can_look_at_a_user_who_holds_more(staff: Client, user: User) -> None:
    give_role_of_more(user)
    page = staff.get(f"{USERS}{user.pk}/change/")
    assert (page.status_code, 'name="email"' in page.content.decode()) == (200, False)


def set_password(client: Client, user: User, **fields: str) -> PageResponse:
    body = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"} | fields
    return client.post(f"{USERS}{user.pk}/password/", body)


def test_a_password_set_by_an_admin_kills_sessions_and_refresh_tokens(
    root: Client, user: User, pair: TokenPair
) -> None:
    assert set_password(root, user).status_code == 302
    assert User.objects.get(pk=user.pk).check_password(NEW_PASSWORD)
    assert not is_alive(pair)
    with pytest.raises(InvalidRefreshToken):
        refresh(refresh_token=pair.refresh_token, started_at=timezone.now(), now=timezone.now())


def test_taking_the_password_away_kills_sessions_too(root: Client, user: User, pair: TokenPair) -> None:
    fields = {"usable_password": "false", "password1": "", "password2": "", "unset-password": "on"}
    assert set_password(root, user, **fields).status_code == 302
    assert not User.objects.get(pk=user.pk).has_usable_password()
    assert not is_alive(pair)


def test_a_password_refused_in_the_admin_leaves_all_as_it_is(root: Client, user: User, pair: TokenPair) -> None:
    assert set_password(root, user, password1="short", password2="short").status_code == 200
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert is_alive(pair)


def test_an_admin_who_sets_the_own_password_stays_in_the_admin(root: Client) -> None:
    assert set_password(root, User.objects.get(email="root@example.com")).status_code == 302
    assert root.get(USERS).status_code == 200


def test_staff_cannot_delete_a_superuser_by_the_list(staff: Client) -> None:
    superuser = User.objects.create_superuser("root@example.com", PASSWORD)
    body = {"action": "delete_selected", "_selected_action": [str(superuser.pk)], "post": "yes"}
    staff.post(USERS, body)
    assert User.objects.filter(pk=superuser.pk).exists()


def test_the_action_ends_sessions_with_their_tokens(staff: Client, pair: TokenPair) -> None:
    session = Session.objects.get()
    staff.post(SESSIONS, {"action": "end_sessions", "_selected_action": [str(session.pk)]})
    session.refresh_from_db()
    assert session.revoked_at is not None
    assert not is_alive(pair)


def test_who_may_only_look_ends_no_session(pair: TokenPair) -> None:
    client = client_of(make_staff("view_session"))
    assert client.get(SESSIONS).status_code == 200
    client.post(SESSIONS, {"action": "end_sessions", "_selected_action": [str(Session.objects.get().pk)]})
    assert is_alive(pair)


def test_sessions_are_read_only(root: Client, pair: TokenPair) -> None:
    session = Session.objects.get()
    assert root.get(f"{SESSIONS}add/").status_code == 403
    assert root.post(f"{SESSIONS}{session.pk}/delete/", {"post": "yes"}).status_code == 403
    assert root.post(f"{SESSIONS}{session.pk}/change/", {"expires_at_0": "2099-01-01"}).status_code == 403
    root.post(SESSIONS, {"action": "delete_selected", "_selected_action": [str(session.pk)], "post": "yes"})
    page = root.get(f"{SESSIONS}{session.pk}/change/").content.decode()
    assert 'name="_save"' not in page
    assert Session.objects.get().expires_at == session.expires_at


def test_keys_and_tokens_are_not_in_the_admin() -> None:
    for model in (SigningKey, RefreshToken, EmailToken, Revocation):
        assert not admin.site.is_registered(model)


def test_a_list_of_sessions_costs_the_same_for_any_number(root: Client, user: User) -> None:
    counts = []
    for number in (1, 10):
        for _ in range(number):
            now = timezone.now()
            Session.objects.create(user=user, created_at=now, expires_at=now + timedelta(days=1))
        with CaptureQueriesContext(connection) as queries:
            root.get(SESSIONS)
        counts.append(len(queries))
    assert counts[0] == counts[1]

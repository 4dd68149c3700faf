from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib import admin
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import selectors, tokens
from accounts.exceptions import InvalidRefreshToken, InvalidToken
from accounts.models import EmailToken, RefreshToken, Registration, Revocation, Session, SigningKey, User
from accounts.services import TokenPair, make_email_token, refresh, register_user, reset_password, sign_in
from permissions import audit
from permissions.services import create_role
from tests.accounts.clients import MISLEADING_NAMES
from tests.accounts.conftest import PASSWORD, PageResponse, get_mailed_link

type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db

USERS = "/admin/accounts/user/"
SESSIONS = "/admin/accounts/session/"
NEW_PASSWORD = "another long password"
SPEC = "ASVS 5.0"


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


@pytest.mark.django_db(transaction=True)
@pytest.mark.compliance(SPEC, "6.4.6", "an admin makes an account and its owner alone chooses the password")
def test_an_added_user_is_invited_to_choose_a_password(root: Client, run_jobs: RunJobs) -> None:
    fields = {"email": "New@example.com", "name": "New", "password1": PASSWORD, "password2": PASSWORD}
    assert root.post(f"{USERS}add/", fields).status_code == 302
    made = User.objects.get(email="new@example.com")
    assert (made.has_usable_password(), made.email_verified_at) == (False, None)
    run_jobs()
    assert [message.to for message in mail.outbox] == [["new@example.com"]]
    token = get_mailed_link("new@example.com").rstrip("/").rpartition("/")[2]
    reset_password(token=token, password=NEW_PASSWORD, now=timezone.now() + timedelta(hours=23))
    made.refresh_from_db()
    assert made.check_password(NEW_PASSWORD)
    assert made.email_verified_at is not None


def test_an_address_in_use_is_refused_in_any_case(root: Client, user: User) -> None:
    response = root.post(f"{USERS}add/", {"email": user.email.upper()})
    assert (response.status_code, User.objects.count()) == (200, 2)
    assert "This e-mail address is in use." in response.content.decode()


def test_names_and_flags_can_be_changed(root: Client, user: User) -> None:
    assert change(root, user, name="Grace", is_staff="on").status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff, user.is_active) == ("Grace", True, True)
    assert user.email_verified_at is not None


@pytest.mark.parametrize("name", MISLEADING_NAMES)
def test_a_name_that_could_mislead_is_refused_and_one_of_old_may_stay(root: Client, user: User, name: str) -> None:
    assert change(root, user, name=name).status_code == 200
    User.objects.filter(pk=user.pk).update(name=name)
    assert change(root, user, name=name, is_staff="on").status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff) == (name, True)


def test_what_is_not_changed_in_the_form_is_not_written(root: Client, user: User) -> None:
    def change_password(**_: object) -> None:
        User.objects.filter(pk=user.pk).update(password=make_password(NEW_PASSWORD))

    pre_save.connect(change_password, sender=User)
    try:
        assert change(root, user, name="Grace").status_code == 302
    finally:
        pre_save.disconnect(change_password, sender=User)
    user.refresh_from_db()
    assert user.name == "Grace"
    assert user.check_password(NEW_PASSWORD)


def test_who_is_deleted_while_they_are_saved_stays_deleted(root: Client, user: User) -> None:
    def delete(**_: object) -> None:
        User.objects.filter(pk=user.pk).delete()

    pre_save.connect(delete, sender=User)
    try:
        assert change(root, user, name="Grace").status_code == 404
    finally:
        pre_save.disconnect(delete, sender=User)


@pytest.mark.django_db(transaction=True)
def test_a_changed_address_is_to_be_verified_anew(root: Client, user: User, run_jobs: RunJobs) -> None:
    change(root, user, email="moved@example.com")
    run_jobs()
    assert User.objects.get(pk=user.pk).email_verified_at is None
    assert [(message.to, message.subject) for message in mail.outbox] == [
        (["user@example.com"], "Your e-mail address was changed"),
        (["moved@example.com"], "Confirm your e-mail address"),
    ]


def test_a_changed_address_ends_every_session_and_makes_links_void(root: Client, user: User, pair: TokenPair) -> None:
    make_email_token(user=user, purpose=EmailToken.Purpose.RESET_PASSWORD, now=timezone.now())
    change(root, user, email="moved@example.com")
    assert not is_alive(pair)
    assert Session.objects.get(user=user).end_reason == Session.EndReason.EMAIL_CHANGED
    assert EmailToken.objects.get().used_at is not None


@pytest.mark.compliance(SPEC, "7.4.2", "who is deactivated is signed out everywhere, at once and for good")
def test_deactivating_a_user_kills_sessions_for_good(root: Client, user: User, pair: TokenPair) -> None:
    change(root, user, is_active="")
    assert not is_alive(pair)
    assert Session.objects.get(user=user).end_reason == Session.EndReason.DEACTIVATED
    change(root, user)
    assert User.objects.get(pk=user.pk).is_active
    assert not is_alive(pair)


@pytest.mark.compliance(SPEC, "7.4.2", "who is deleted is signed out everywhere, at once and for good")
def test_deleting_a_user_kills_the_tokens(root: Client, user: User, pair: TokenPair) -> None:
    assert root.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
    assert not is_alive(pair)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_listed", [True, False])
def test_whose_account_an_admin_deletes_is_told(root: Client, user: User, run_jobs: RunJobs, is_listed: bool) -> None:
    if is_listed:
        root.post(USERS, {"action": "delete_selected", "_selected_action": [str(user.pk)], "post": "yes"})
    else:
        root.post(f"{USERS}{user.pk}/delete/", {"post": "yes"})
    run_jobs()
    assert [(message.to, message.subject) for message in mail.outbox] == [([user.email], "Your account is deleted")]
    deleted = audit.list_events(event="user.deleted").get()
    assert (deleted.actor_label, deleted.subject_label) == ("root@example.com", user.email)


def test_staff_cannot_raise_anybody(staff: Client, user: User) -> None:
    assert change(staff, user, name="Grace", is_staff="on", is_superuser="on").status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff, user.is_superuser) == ("Grace", False, False)


@pytest.mark.parametrize("page", ["change", "start-reset", "end-sessions", "delete"])
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
@pytest.mark.parametrize("page", ["change", "start-reset", "end-sessions", "delete"])
def test_staff_cannot_touch_a_user_who_holds_more(staff: Client, user: User, page: str, is_active: bool) -> None:
    give_role_of_more(user)
    User.objects.filter(pk=user.pk).update(is_active=is_active)
    body = {"post": "yes", "email": "taken@example.com"}
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


@pytest.mark.compliance(SPEC, "6.4.6", "no page of the admin takes a password")
def test_an_admin_cannot_choose_a_password(root: Client, user: User) -> None:
    body = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true", "password": NEW_PASSWORD}
    before = user.password
    root.post(f"{USERS}{user.pk}/password/", body, follow=True)
    change(root, user, **body)
    assert User.objects.get(pk=user.pk).password == before
    for page in (f"{USERS}add/", f"{USERS}{user.pk}/change/"):
        assert 'name="password' not in root.get(page).content.decode()


def press(client: Client, user: User, button: str) -> PageResponse:
    return client.post(f"{USERS}{user.pk}/{button}/")


def choose(client: Client, action: str, *users: User) -> str:
    body = {"action": action, "_selected_action": [str(user.pk) for user in users]}
    return client.post(USERS, body, follow=True).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.compliance(SPEC, "6.4.6", "an admin starts a reset, and its link goes to the user alone")
@pytest.mark.parametrize("is_listed", [True, False])
def test_an_admin_starts_a_reset(
    staff: Client, user: User, pair: TokenPair, run_jobs: RunJobs, is_listed: bool
) -> None:
    answer = choose(staff, "start_resets", user) if is_listed else press(staff, user, "start-reset").content.decode()
    run_jobs()
    link = get_mailed_link(user.email)
    token = link.rstrip("/").rpartition("/")[2]
    assert token not in answer + staff.get(f"{USERS}{user.pk}/change/").content.decode()
    assert is_alive(pair)  # until the user has followed it
    reset_password(token=token, password=NEW_PASSWORD, now=timezone.now())
    assert User.objects.get(pk=user.pk).check_password(NEW_PASSWORD)
    assert not is_alive(pair)
    started = audit.list_events(event="user.password_reset_started").get()
    assert (started.actor_label, started.subject_label) == ("staff@example.com", user.email)


@pytest.mark.compliance(SPEC, "7.4.5", "an admin ends all sessions of a user")
@pytest.mark.parametrize("is_listed", [True, False])
def test_an_admin_signs_a_user_out_everywhere(staff: Client, user: User, pair: TokenPair, is_listed: bool) -> None:
    page = client_of(user)
    if is_listed:
        choose(staff, "end_sessions", user)
    else:
        press(staff, user, "end-sessions")
    assert not is_alive(pair)
    with pytest.raises(InvalidRefreshToken):
        refresh(refresh_token=pair.refresh_token, started_at=timezone.now(), now=timezone.now())
    assert page.get("/accounts/profile/").status_code == 302
    reasons = Session.objects.filter(user=user).values_list("end_reason", flat=True)
    assert set(reasons) == {Session.EndReason.ENDED_BY_ADMIN}


@pytest.mark.parametrize("action", ["start_resets", "end_sessions"])
def test_actions_leave_users_alone_who_hold_more(staff: Client, user: User, pair: TokenPair, action: str) -> None:
    give_role_of_more(user)
    other = User.objects.create_user("other@example.com", PASSWORD, email_verified_at=timezone.now())
    others = sign_in(email=other.email, password=PASSWORD, now=timezone.now())
    page = choose(staff, action, user, other)
    assert "Left as they are, since they hold more than you do: 1." in page
    assert is_alive(pair)
    assert is_alive(others) == (action == "start_resets")
    started = audit.list_events(event="user.password_reset_started").values_list("subject_label", flat=True)
    assert list(started) == ([other.email] if action == "start_resets" else [])


@pytest.mark.parametrize("button", ["start-reset", "end-sessions"])
def test_buttons_are_pressed_and_not_visited(root: Client, user: User, pair: TokenPair, button: str) -> None:
    assert root.get(f"{USERS}{user.pk}/{button}/").status_code == 405
    assert root.post(f"{USERS}{'0' * 8}-0000-4000-8000-{'0' * 12}/{button}/").status_code == 403
    assert Client(enforce_csrf_checks=True).post(f"{USERS}{user.pk}/{button}/").status_code in {302, 403}
    assert is_alive(pair)


@pytest.mark.parametrize("button", ["start-reset", "end-sessions"])
def test_who_may_only_look_at_users_finds_no_buttons(user: User, pair: TokenPair, button: str) -> None:
    client = client_of(make_staff("view_user"))
    assert f"/{button}/" not in client.get(f"{USERS}{user.pk}/change/").content.decode()
    assert press(client, user, button).status_code == 403
    choose(client, button.replace("-", "_"), user)
    assert is_alive(pair)


def test_the_page_of_a_user_has_the_buttons(staff: Client, user: User) -> None:
    page = staff.get(f"{USERS}{user.pk}/change/").content.decode()
    assert all(f"{USERS}{user.pk}/{button}/" in page for button in ("start-reset", "end-sessions"))


def test_staff_change_their_own_password_where_everybody_does(staff: Client) -> None:
    response = staff.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": NEW_PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/accounts/change-password/")


def test_a_superuser_is_made_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, email="boss@example.com", stdout=StringIO())
    sign_in(email="boss@example.com", password=PASSWORD, now=timezone.now())


def test_hashes_of_passwords_cannot_be_guessed_by_filters(root: Client, user: User) -> None:
    assert root.get(f"{USERS}?password__startswith=argon2").status_code in {302, 400}


def test_staff_cannot_delete_a_superuser_by_the_list(staff: Client) -> None:
    superuser = User.objects.create_superuser("root@example.com", PASSWORD)
    body = {"action": "delete_selected", "_selected_action": [str(superuser.pk)], "post": "yes"}
    staff.post(USERS, body)
    assert User.objects.filter(pk=superuser.pk).exists()


@pytest.mark.compliance(SPEC, "7.4.5", "an admin ends a single session")
def test_the_action_ends_sessions_with_their_tokens(staff: Client, user: User, pair: TokenPair) -> None:
    session = Session.objects.get(user=user)
    staff.post(SESSIONS, {"action": "end_sessions", "_selected_action": [str(session.pk)]})
    session.refresh_from_db()
    assert (session.revoked_at is not None, session.end_reason) == (True, Session.EndReason.ENDED_BY_ADMIN)
    assert not is_alive(pair)


def test_the_action_leaves_sessions_of_users_who_hold_more(staff: Client, user: User, pair: TokenPair) -> None:
    give_role_of_more(user)
    staff.post(SESSIONS, {"action": "end_sessions", "_selected_action": [str(pair.session.pk)]})
    assert is_alive(pair)


def test_sessions_are_listed_with_device_kind_and_end(root: Client, pair: TokenPair) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    reason = Session.EndReason.TOKEN_REUSED
    Session.objects.filter(pk=pair.session.pk).update(user_agent=agent, revoked_at=timezone.now(), end_reason=reason)
    for page in (SESSIONS, f"{SESSIONS}{pair.session.pk}/change/"):
        text = root.get(page).content.decode()
        assert all(words in text for words in ("Firefox on Linux", Session.Kind.API.label, reason.label))


def test_who_may_only_look_ends_no_session(pair: TokenPair) -> None:
    client = client_of(make_staff("view_session"))
    assert client.get(SESSIONS).status_code == 200
    client.post(SESSIONS, {"action": "end_sessions", "_selected_action": [str(pair.session.pk)]})
    assert is_alive(pair)


def test_sessions_are_read_only(root: Client, pair: TokenPair) -> None:
    session = pair.session
    assert root.get(f"{SESSIONS}add/").status_code == 403
    assert root.post(f"{SESSIONS}{session.pk}/delete/", {"post": "yes"}).status_code == 403
    assert root.post(f"{SESSIONS}{session.pk}/change/", {"expires_at_0": "2099-01-01"}).status_code == 403
    root.post(SESSIONS, {"action": "delete_selected", "_selected_action": [str(session.pk)], "post": "yes"})
    page = root.get(f"{SESSIONS}{session.pk}/change/").content.decode()
    assert 'name="_save"' not in page
    assert Session.objects.get(pk=session.pk).expires_at == session.expires_at


def test_keys_and_tokens_are_not_in_the_admin() -> None:
    for model in (SigningKey, RefreshToken, EmailToken, Registration, Revocation):
        assert not admin.site.is_registered(model)


@pytest.mark.compliance(SPEC, "14.2.6", "no page of the admin shows a hash of a password or a token, or any part")
@pytest.mark.compliance("Security", "AC14", "no page of the admin shows a hash or a token")
def test_no_page_of_the_admin_shows_a_hash_or_a_token(root: Client, user: User, pair: TokenPair) -> None:
    register_user(email=user.email, password=PASSWORD, name="", now=timezone.now())
    link = make_email_token(user=user, now=timezone.now())
    stored = [
        *User.objects.values_list("password", flat=True),
        *Registration.objects.values_list("password", flat=True),
        *RefreshToken.objects.values_list("digest", flat=True),
        *EmailToken.objects.values_list("digest", flat=True),
    ]
    secrets = [
        pair.access_token,
        pair.refresh_token,
        link,
        "argon2",
        *(part for one in stored for part in one.split("$")[-2:]),
    ]
    for path in list_admin_pages():
        page = root.get(path).content.decode()
        assert not [secret for secret in secrets if secret in page], path


def list_admin_pages() -> list[str]:
    """Return every list of the admin, and every page of each row."""
    pages = ["/admin/"]
    for model in (model for model in admin.site._registry if model._meta.managed):
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        rows = [
            f"{base}{row.pk}/{page}/"
            for row in model._default_manager.all()[:20]
            for page in ("change", "history", "delete")
        ]
        pages += [base, f"{base}add/", *rows]
    return pages


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

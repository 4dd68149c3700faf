"""That the export of an account holds every row of the house that names the user, or docs/accounts.md says why not."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from guardian.shortcuts import assign_perm

from accounts.models import EmailToken, Registration, Revocation, Session, User
from accounts.services import export_account
from oauth.models import AccessToken, Application, Consent, DeviceGrant, Grant, PersonalAccessToken
from permissions import audit
from permissions.services import create_role
from tests.accounts.conftest import NOW

type Rows = list[dict[str, Any]]  # Any: whatever is exported

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=1)
#: Names of columns that hold the id of a user without a foreign key.
_IDS: Final = re.compile(r"(actor|owner|subject|user)(_id|_pk)?")
_IN_DOCS: Final = re.compile(r"`(\w+\.\w+\.\w+)`")


def export(user: User, part: str) -> Rows:
    rows = next(rows for name, rows in export_account(user=user, now=NOW) if name == part)
    found: Rows = json.loads(json.dumps([*rows], default=str))
    return found


def log(*, by: User, of: User, message: object) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(of.pk),
        object_repr=of.email,
        action_flag=CHANGE,
        change_message=text,
    )


def make_client(user: User) -> Application:
    client: Application = Application.objects.create(user=user, name="Example")
    return client


def make_consent(user: User) -> None:
    Consent.objects.create(user=user, application=make_client(user), expires_at=LATER)


def make_code(user: User) -> None:
    Grant.objects.create(user=user, application=make_client(user), code="digest", expires=LATER)


def make_device(user: User) -> None:
    DeviceGrant.objects.create(user=user, application=make_client(user), expires=LATER)


def make_access_token(user: User) -> None:
    AccessToken.objects.create(user=user, application=make_client(user), token="raw", expires=LATER)


def make_personal_token(user: User) -> None:
    PersonalAccessToken.objects.create(user=user, name="Example", digest="digest", expires_at=LATER)


def take_role(user: User) -> None:
    create_role(name="reader")
    user.assign_role("reader")


#: Column that names a user to the part of the export that holds its rows, and a way to make one.
EXPORTED: Final[dict[str, tuple[str, Callable[[User], object]]]] = {
    "admin.LogEntry.user": ("admin_actions", lambda user: log(by=user, of=user, message="")),
    "guardian.UserObjectPermission.user": ("object_permissions", lambda u: assign_perm("accounts.view_user", u, u)),
    "permissions.RoleAssignment.user": ("roles", take_role),
    "permissions.UserGrant.user": ("permissions", lambda user: user.forbid_permission_to("accounts.view_user")),
    "permissions.AuditEvent.actor_id": ("audit_events", lambda user: audit.record("x.done", actor=user)),
    "permissions.AuditEvent.subject_id": ("audit_events", lambda user: audit.record("x.done", subject=user)),
    "accounts.User_groups.user": ("groups", lambda user: user.groups.add(Group.objects.create(name="no|role"))),
    "accounts.User_user_permissions.user": ("permissions", lambda u: u.give_permission_to("accounts.view_user")),
    "accounts.Registration.user": ("registrations", lambda u: Registration.objects.create(user=u, email=u.email)),
    "accounts.EmailToken.user": ("links", lambda u: EmailToken.objects.create(user=u, expires_at=LATER)),
    "accounts.Session.user": ("sessions", lambda user: Session.objects.create(user=user, expires_at=LATER)),
    "accounts.Revocation.subject": (
        "revocations",
        lambda u: Revocation.objects.create(kind="sub", subject=str(u.pk), revoked_at=NOW, expires_at=LATER),
    ),
    "oauth.Application.user": ("oauth_clients", make_client),
    "oauth.Consent.user": ("oauth_consents", make_consent),
    "oauth.Grant.user": ("oauth_codes", make_code),
    "oauth.DeviceGrant.user": ("oauth_devices", make_device),
    "oauth.AccessToken.user": ("oauth_opaque_access_tokens", make_access_token),
    "oauth.PersonalAccessToken.user": ("personal_access_tokens", make_personal_token),
}


def list_columns() -> Iterator[str]:
    """Return every column of the house that names a user."""
    for model in apps.get_models(include_auto_created=True):
        if model.__module__.startswith("tests."):
            continue
        for field in model._meta.concrete_fields:
            names_user = field.related_model is User if field.is_relation else _IDS.fullmatch(field.name)
            if names_user:
                yield f"{model._meta.label}.{field.name}"


def list_left_out() -> set[str]:
    """Return the columns of which the docs say why they are left out."""
    text = (Path(settings.BASE_DIR) / "docs" / "accounts.md").read_text()
    table = text.partition("| Left out | Why |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if "`" in line]
    assert all(why.strip() for _columns, why in rows)
    return {column for columns, _why in rows for column in _IN_DOCS.findall(columns)}


def test_each_column_that_names_a_user_is_exported_or_left_out_with_a_reason() -> None:
    left_out = list_left_out()
    assert left_out & set(EXPORTED) == set()
    assert sorted(list_columns()) == sorted({*left_out, *EXPORTED})


@pytest.mark.parametrize("column", EXPORTED)
def test_the_export_holds_the_rows_that_name_the_user_and_no_others(user: User, unverified: User, column: str) -> None:
    part, make = EXPORTED[column]
    before = len(export(user, part)), len(export(unverified, part))
    make(user)
    own, of_other = len(export(user, part)), len(export(unverified, part))
    audit_events = 1 if part == "audit_events" else 0  # an export is an event, too
    assert (own - before[0], of_other - before[1]) == (1 + audit_events, audit_events)


def test_the_export_says_what_was_done_in_the_admin_without_naming_others(user: User, unverified: User) -> None:
    role = {"name": "role assignment", "object": f"reader for {unverified.email}", "fields": ["role"]}
    log(by=user, of=unverified, message=[{"added": role}, {"changed": {"fields": ["name"]}}])
    log(by=unverified, of=user, message=[{"changed": {"fields": ["address"]}}])
    log(by=user, of=unverified, message=f"Wrote to {unverified.email}.")
    log(by=user, of=unverified, message="[1]")
    log(by=unverified, of=unverified, message="")
    rows = export(user, "admin_actions")
    assert [(row["by"], row["changes"]) for row in rows] == [
        ("self", [{"added": {"name": "role assignment", "fields": ["role"]}}, {"changed": {"fields": ["name"]}}]),
        ("other", [{"changed": {"fields": ["address"]}}]),
        ("self", []),
        ("self", []),
    ]
    assert (rows[0]["action"], rows[0]["object_type"], rows[0]["object_id"]) == (
        "Change",
        "accounts.user",
        str(unverified.pk),
    )
    assert unverified.email not in json.dumps(rows)


def test_the_export_says_for_which_object_a_permission_was_given(user: User, unverified: User) -> None:
    assign_perm("accounts.change_user", user, unverified)
    assert export(user, "object_permissions") == [
        {"permission": "accounts.change_user", "object_type": "accounts.user", "object_id": str(unverified.pk)}
    ]


def test_the_export_tells_all_of_a_session(user: User) -> None:
    Session.objects.create(user=user, kind="client", client_id="app", scope="profile", expires_at=LATER)
    (row,) = export(user, "sessions")
    assert set(row) == {field.name for field in Session._meta.concrete_fields} - {"user"}
    assert (row["client_id"], row["scope"]) == ("app", "profile")

"""Giving people all that is stored about them."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from guardian.models import UserObjectPermission

from accounts.exports import Row, list_exports
from accounts.models import EmailToken, RefreshToken, Registration, Revocation, Session, User
from accounts.selectors import get_doer
from permissions import audit
from permissions.exceptions import TeamsNotEnabled
from permissions.selectors import list_assignments, list_grants, list_team_roles

_CHUNK: Final = 500


def export_account(*, user: User, now: datetime) -> Iterator[tuple[str, Row | Iterable[Row]]]:
    """Yield all that is stored about a user, part by part: its name, and one row or many.

    No password, token, digest or hash of one is among it. Long lists are read as they are asked for.
    """
    audit.record("user.exported", subject=user)
    yield "issuer", {"url": settings.BASE_URL, "exported_at": now}
    yield "profile", User.objects.filter(pk=user.pk).values(*_PROFILE).get()
    for name, rows, columns in _list_tables(user):
        yield name, rows.values(*columns).order_by("pk").iterator(_CHUNK)
    yield "admin_actions", _list_admin_actions(user)
    yield "roles", _list_roles(user)
    yield "groups", list(user.groups.order_by("name").values("name"))
    yield "permissions", [dict(grant) for grant in list_grants(user=user, team_id=None)]
    yield "object_permissions", _list_object_permissions(user)
    yield "teams", _list_teams(user)
    yield "audit_events", _list_events(user)
    for name, read in list_exports().items():
        yield name, read(user.pk)


_PROFILE: Final = (
    "id", "email", "name", "email_verified_at", "is_active", "is_staff", "is_superuser", "created_at", "last_login",
)  # fmt: skip
_SESSION: Final = (
    "id", "kind", "created_at", "authenticated_at", "amr", "last_used_at", "expires_at", "revoked_at", "end_reason",
    "ip_address", "user_agent", "client_id", "scope", "resource", "claims", "opened_in",
)  # fmt: skip
_TOKEN: Final = ("session_id", "generation", "created_at", "expires_at", "used_at")
_LINK: Final = ("purpose", "email", "created_at", "expires_at", "used_at")
#: What the admin's message says of a change, besides the name of the row.
_OF_CHANGE: Final = ("name", "fields")

type _Table = tuple[str, QuerySet[Any], tuple[str, ...]]  # Any: of several models


def _list_tables(user: User) -> list[_Table]:
    """Return what is stored in rows that are the user's own: name, rows, and the columns that may be given away."""
    ended = Revocation.objects.filter(kind=Revocation.Kind.USER, subject=str(user.pk))
    return [
        ("sessions", Session.objects.filter(user=user), _SESSION),
        ("refresh_tokens", RefreshToken.objects.filter(session__user=user), _TOKEN),
        ("revocations", ended, ("revoked_at", "expires_at")),
        ("registrations", Registration.objects.filter(user=user), ("email", "name", "created_at")),
        ("links", EmailToken.objects.filter(user=user), _LINK),
    ]


def _list_admin_actions(user: User) -> Iterator[Row]:
    """Yield what the user did in the admin, and what was done to their account there."""
    user_type = ContentType.objects.get_for_model(User)
    entries = LogEntry.objects.filter(Q(user=user) | Q(content_type=user_type, object_id=str(user.pk)))
    for entry in entries.select_related("content_type").order_by("pk").iterator(_CHUNK):
        of_what = entry.content_type
        yield {
            "action_time": entry.action_time,
            "action": entry.get_action_flag_display(),
            "by": "self" if entry.user_id == user.pk else "other",
            "object_type": f"{of_what.app_label}.{of_what.model}" if of_what else "",
            "object_id": entry.object_id,
            "changes": _read_changes(entry.change_message),
        }


def _read_changes(message: str) -> list[dict[str, dict[str, object]]]:
    """Return which fields and kinds of rows a message of the admin names, without what may name other people.

    Those are the rows themselves, and texts of an app's own.
    """
    try:
        changes = json.loads(message)
    except ValueError:
        return []
    told = [one for one in changes if isinstance(one, dict)] if isinstance(changes, list) else []
    return [{verb: {key: what[key] for key in _OF_CHANGE if key in what} for verb, what in one.items()} for one in told]


def _list_object_permissions(user: User) -> Iterator[Row]:
    rows = UserObjectPermission.objects.filter(user=user).select_related("permission", "content_type")
    for row in rows.order_by("pk").iterator(_CHUNK):
        of_what = row.content_type
        yield {
            "permission": f"{of_what.app_label}.{row.permission.codename}",
            "object_type": f"{of_what.app_label}.{of_what.model}",
            "object_id": row.object_pk,
        }


def _list_roles(user: User) -> Iterator[Row]:
    for row in list_assignments(user=user, team_id=None):
        yield {
            "role": row.role.name,
            "guard": row.role.guard,
            "team": row.team_id or None,
            "expires_at": row.expires_at,
            "created_at": row.created_at,
        }


def _list_teams(user: User) -> Iterator[Row]:
    try:
        teams = list_team_roles(user=user)
    except TeamsNotEnabled:
        return
    for key, name, roles in teams:
        yield {"id": key, "name": name, "roles": roles}


def _list_events(user: User) -> Iterator[Row]:
    """Yield what the user did, and what was done to them, without what tells of somebody else."""
    own = str(user.pk)
    user_type = User._meta.label_lower  # noqa: SLF001 - Django's documented name of it
    events = audit.list_events().filter(Q(subject_id=own) | Q(actor_id=own)).order_by("pk")
    for event in events.iterator(_CHUNK):
        doer = get_doer(event=event, user=user)
        is_about_other = event.subject_type == user_type and event.subject_id != own
        yield {
            "event": event.event,
            "created_at": event.created_at,
            "by": doer,
            "ip_address": "" if doer == "other" else event.ip_address,
            "client_id": event.client_id,
            "subject_type": event.subject_type,
            "subject_id": event.subject_id,
            "subject": "" if is_about_other else event.subject_label,
            "details": {} if is_about_other else event.data,
        }

"""The queries that read facts: one for a user, three for any number of roles."""

from collections.abc import Collection
from datetime import datetime
from sys import intern
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import BigIntegerField, CharField, DateTimeField, F, Model, Q, QuerySet, Value
from django.db.models.functions import Cast

from permissions import conf
from permissions.models.roles import RoleAssignment, RoleLink, UserGrant, Version
from permissions.registrar.stamps import ROLES, get_role_key, get_user_key
from permissions.snapshots import Assigned, Granted, RoleFacts, UserFacts

if TYPE_CHECKING:
    from permissions.models.roles import Holder


def query_user(user: "Holder") -> tuple[int | None, UserFacts]:
    """Return the stamp of the roles, and all facts about a user, from one query."""
    default = conf.get().default_guard
    is_mirrored = Q(team_id="", expires_at=None, role__team_id="", role__guard=default)
    is_role_of_django = Q(group__role=None) | Q(group__role__team_id="", group__role__guard=default)
    user_model = get_user_model()
    names = {"label": "permission__content_type__app_label", "codename": "permission__codename"}
    rows = _select(Version.objects.filter(key__in=[ROLES, get_user_key(user.pk)]), "v", "stamp", label="key").union(
        _select(user_model.groups.through.objects.filter(is_role_of_django, user=user.pk), "m", "group_id"),
        _select(
            RoleAssignment.objects.filter(user=user.pk).exclude(is_mirrored), "a", "role_id", "team_id", "expires_at"
        ),
        _select(user_model.user_permissions.through.objects.filter(user=user.pk), "p", "permission_id", **names),
        _select(UserGrant.objects.filter(user=user.pk, is_denied=False), "p", "permission_id", "team_id", **names),
        _select(UserGrant.objects.filter(user=user.pk, is_denied=True), "d", "permission_id", "team_id", **names),
        all=True,
    )
    stamps: dict[str, int] = {}
    assigned: set[Assigned] = set()
    granted: set[Granted] = set()
    for kind, number, team_id, label, codename, moment in rows:
        match kind:
            case "v":
                stamps[label] = number
            case "m" | "a":
                assigned.add(Assigned(number, intern(team_id), moment))
            case _:
                guard, name = conf.get().identify(label, codename)
                granted.add(Granted(number, guard, intern(name), intern(team_id), kind == "d"))
    return stamps.get(ROLES), UserFacts(stamps.get(get_user_key(user.pk)), tuple(assigned), tuple(granted))


def _select(
    rows: "QuerySet[Model]",
    kind: str,
    number: str,
    team_id: str = "",
    moment: str = "",
    *,
    label: str = "",
    codename: str = "",
) -> "QuerySet[Model, tuple[str, int, str, str, str, datetime | None]]":
    """Return a part of the one query: columns of the same types, whatever the table."""
    nothing = Cast(Value(""), CharField())
    return rows.order_by().values_list(
        Cast(Value(kind), CharField()),
        Cast(F(number), BigIntegerField()),
        Cast(F(team_id), CharField()) if team_id else nothing,
        Cast(F(label), CharField()) if label else nothing,
        Cast(F(codename), CharField()) if codename else nothing,
        F(moment) if moment else Cast(Value(None), DateTimeField()),
    )


def query_roles(role_ids: Collection[int]) -> list[RoleFacts]:
    """Return the facts of roles, from three queries; the stamps come first."""
    conf_now = conf.get()
    stamps = dict(Version.objects.filter(key__in=[get_role_key(pk) for pk in role_ids]).values_list("key", "stamp"))
    groups = list(Group.objects.filter(pk__in=role_ids).values_list("pk", "role__name", "role__guard", "role__team_id"))
    ancestors: dict[int, list[int]] = {pk: [] for pk in role_ids}
    for role_id, ancestor_id in RoleLink.objects.filter(role__in=role_ids).values_list("role_id", "ancestor_id"):
        ancestors[role_id].append(ancestor_id)
    names: dict[int, list[tuple[str, str]]] = {pk: [] for pk in role_ids}
    held = Permission.objects.filter(group__in=role_ids).order_by()
    for role_id, label, codename in held.values_list("group", "content_type__app_label", "codename"):
        names[role_id].append(conf_now.identify(label, codename))
    return [
        RoleFacts(
            pk=pk,
            name=role_name,
            guard=guard or conf_now.default_guard,
            team_id=team_id or "",
            names=frozenset(intern(name) for own, name in names[pk] if own == (guard or conf_now.default_guard)),
            ancestors=tuple(ancestors[pk]),
            stamp=stamps.get(get_role_key(pk)),
        )
        for pk, role_name, guard, team_id in groups
    ]

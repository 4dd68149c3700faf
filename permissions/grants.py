"""What was given for single objects: django-guardian's tables, read for many objects at once, and lists by them."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import (
    BigIntegerField,
    CharField,
    Expression,
    F,
    ForeignKey,
    IntegerField,
    Model,
    Q,
    QuerySet,
    UUIDField,
    Value,
)
from django.db.models.functions import Cast, Replace
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from permissions import conf, scope
from permissions.snapshots import Snapshot

if TYPE_CHECKING:
    from permissions.models.roles import Holder


def find_team(obj: object) -> str | None:
    """Return the key of the team in which an object is decided.

    A team decides itself; a row of a model with exactly one foreign key to the teams belongs to that team, or to none
    where it is empty; for everything else the current team holds.
    """
    if not conf.get().is_teams_enabled or not isinstance(obj, Model):
        return scope.get_team()
    field = find_team_field(type(obj))
    if field is None:
        return scope.get_team()
    key = getattr(obj, field)
    return None if key is None else str(key)


def find_team_field(model: type[Model]) -> str | None:
    """Return the name of the attribute that holds the key of a row's team; None where rows belong to no team."""
    team_model = conf.get().team_model
    return None if team_model is None else _find_team_field(model, team_model)


def holds(user: "Holder", snapshot: Snapshot, name: str, obj: Model) -> bool:
    """Say whether a permission was given for that object, to the user or to one of its roles; one query at most."""
    key = _get_key(obj)
    held = snapshot.find_held_with(key)
    if held is None:
        load(user, [(snapshot, obj)])
        held = snapshot.find_held_with(key)
    return held is not None and name in held


def load(user: "Holder", pairs: Sequence[tuple[Snapshot, Model]]) -> None:
    """Read what was given for objects of one model, with one query, each into the snapshot in which it is decided."""
    if not pairs:
        return
    example = pairs[0][1]
    model = _get_concrete(type(example))
    of_user: dict[str, set[str]] = {}
    of_roles: dict[str, set[tuple[int, str]]] = {}
    if pairs[0][0].scope.guard == conf.get().default_guard:  # permissions of models belong to it
        keys = [str(obj.pk) for _, obj in pairs]
        lineage = frozenset[int]().union(*(snapshot.lineage for snapshot, _ in pairs))
        nobody = Value(None, IntegerField())
        rows = _find_rows(get_user_obj_perms_model(example), model, keys, nobody).filter(user=user.pk)
        if lineage:
            groups = _find_rows(get_group_obj_perms_model(example), model, keys, F("group")).filter(group__in=lineage)
            rows = rows.union(groups, all=True)
        for key, codename, role_id in rows:
            name = f"{model._meta.app_label}.{codename}"  # noqa: SLF001 - Django's documented name of it
            if role_id is None:
                of_user.setdefault(str(key), set()).add(name)
            else:
                of_roles.setdefault(str(key), set()).add((role_id, name))
    for snapshot, obj in pairs:
        key = str(obj.pk)
        via_roles = {name for role_id, name in of_roles.get(key, ()) if role_id in snapshot.lineage}
        snapshot.remember_held_with(_get_key(obj), frozenset(via_roles | of_user.get(key, set())))


def list_permitted[Rows: QuerySet[Any]](  # Any: of any model
    objects: Rows, *, user: "Holder", name: str, snapshots: dict[str | None, Snapshot], policy: Q | None
) -> Rows:
    """Return those objects with which a user may, in one query.

    ``snapshots`` says what the user holds outside of teams (None), or in the current team where the model knows none,
    and in each team where anything was given or forbidden. ``policy`` is what the policy of the model allows.
    """
    base = snapshots[None]
    if name in base.denied:
        return objects.none()
    field = find_team_field(objects.model)
    alone = _find_objects(objects, name, user=user, lineage=base.lineage)
    if field is None:
        return objects if _is_held(base, name) else objects.filter(alone if policy is None else alone | policy)
    teams = {team: snapshot for team, snapshot in snapshots.items() if team is not None}
    denied = [team for team, snapshot in teams.items() if name in snapshot.denied]
    if _is_held(base, name):
        allowed = Q()
    else:
        allowed = Q(**{f"{field}__in": [team for team, snapshot in teams.items() if _is_held(snapshot, name)]}) | alone
        for team, snapshot in teams.items():
            if more := snapshot.lineage - base.lineage:
                in_team = Q(**{field: team})
                allowed |= in_team & _find_objects(objects, name, user=None, lineage=more)
        allowed |= policy or Q(pk__in=[])
    return objects.filter(allowed & ~Q(**{f"{field}__in": denied}) if denied else allowed)


def _is_held(snapshot: Snapshot, name: str) -> bool:
    return snapshot.is_super_admin or snapshot.holds(name)


def _find_objects(
    objects: QuerySet[Any],
    name: str,
    *,
    user: "Holder | None",
    lineage: Iterable[int],  # Any: rows of any model
) -> Q:
    """Return the condition that a permission was given for the row alone."""
    model = _get_concrete(objects.model)
    label, _, codename = name.partition(".")
    nothing = Q(pk__in=[])
    if label != model._meta.app_label or not codename:  # noqa: SLF001 - Django's documented name of it
        return nothing
    condition = nothing
    example = objects.model()
    if user is not None:
        rows = _find_rows(get_user_obj_perms_model(example), model, None).filter(user=user.pk)
        condition |= Q(pk__in=_find_keys(rows, model, codename, objects.db))
    if groups := list(lineage):
        rows = _find_rows(get_group_obj_perms_model(example), model, None).filter(group__in=groups)
        condition |= Q(pk__in=_find_keys(rows, model, codename, objects.db))
    return condition


def _find_rows(
    table: type[Model], model: type[Model], keys: list[str] | None, role_id: Expression | F | None = None
) -> "QuerySet[Model, Any]":  # Any: tuples of two, or of three
    """Return key of the object, codename and, where it is asked for, role from one of guardian's tables."""
    options = model._meta  # noqa: SLF001 - Django's documented name of it
    rows: QuerySet[Model] = table._default_manager.order_by()  # noqa: SLF001 - as above
    more = () if role_id is None else (Cast(role_id, BigIntegerField()),)
    if _is_generic(table):
        rows = rows.filter(content_type__app_label=options.app_label, content_type__model=options.model_name)
        if keys is not None:
            rows = rows.filter(object_pk__in=keys)
        return rows.values_list("object_pk", "permission__codename", *more)
    if keys is not None:
        rows = rows.filter(content_object__in=keys)
    return rows.values_list(Cast("content_object_id", CharField()), "permission__codename", *more)


def _find_keys(
    rows: QuerySet[Model, tuple[object, str]], model: type[Model], codename: str, using: str
) -> "QuerySet[Model, Any]":  # Any: keys of any type
    """Return the keys of the objects, as the type that the model's key has."""
    named = rows.filter(permission__codename=codename)
    if not _is_generic(named.model):
        return named.values("content_object_id")
    field = model._meta.pk  # noqa: SLF001 - Django's documented way to a model's fields
    while isinstance(field, ForeignKey):
        field = field.target_field
    text: Any = F("object_pk")  # Any: an expression
    if isinstance(field, UUIDField) and not connections[using].features.has_native_uuid_field:
        text = Replace(text, Value("-"), Value(""))
    return named.values(key=Cast(text, field.__class__() if isinstance(field, UUIDField) else field))


def _is_generic(table: type[Model]) -> bool:
    return any(field.name == "object_pk" for field in table._meta.get_fields())  # noqa: SLF001 - Django's documented way to a model's fields


def _get_concrete(model: type[Model]) -> type[Model]:
    concrete = model._meta.concrete_model  # noqa: SLF001 - Django's documented name of it
    return concrete or model


def _get_key(obj: Model) -> tuple[type[Model], str]:
    return _get_concrete(type(obj)), str(obj.pk)


@cache
def _find_team_field(model: type[Model], team_model: str) -> str | None:
    options = model._meta  # noqa: SLF001 - Django's documented way to a model's fields
    if options.label_lower == team_model.lower():
        return options.pk.attname
    found = [
        field.attname
        for field in options.concrete_fields
        if isinstance(field, ForeignKey) and field.related_model._meta.label_lower == team_model.lower()  # noqa: SLF001 - as above
    ]
    return found[0] if len(found) == 1 else None

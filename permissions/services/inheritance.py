"""Which roles have the permissions of others, too."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from django.db import transaction

from permissions import audit, registrar
from permissions.exceptions import (
    GuardDoesNotMatch,
    InheritanceCycle,
    TeamDoesNotMatch,
)
from permissions.models.roles import Role, RoleLink

if TYPE_CHECKING:
    from permissions.models.roles import Holder

from permissions.services.escalation import refuse_role_escalation
from permissions.services.rows import refuse_missing


@transaction.atomic
def inherit(*, role: Role, parents: Iterable[Role], granted_by: "Holder | None" = None) -> None:
    """Let a role have all permissions of others, too.

    Raises:
        InheritanceCycle: One of them is the role itself, or inherits from it.
        GuardDoesNotMatch: One of them belongs to another guard.
        TeamDoesNotMatch: One of them belongs to another team.
        Escalation: ``granted_by`` doesn't hold all that they permit.
        RoleDoesNotExist: The role or one of them is gone.
    """
    parents = list(parents)
    if not parents:
        return
    registrar.touch(structure=True)  # first, so that whoever else links roles, or deletes one, waits
    refuse_missing([role, *parents])
    for parent in parents:
        if parent.guard != role.guard:
            raise GuardDoesNotMatch.expected(parent.guard, [role.guard])
        if parent.team_id not in {"", role.team_id}:
            raise TeamDoesNotMatch
        if parent.pk == role.pk or RoleLink.objects.filter(role=parent, ancestor=role).exists():
            raise InheritanceCycle
        refuse_role_escalation(actor=granted_by, role=parent, team_id=role.team_id)
    for parent in parents:
        RoleLink.objects.update_or_create(role=role, ancestor=parent, defaults={"is_parent": True})
    _relink(role)
    names = sorted(parent.name for parent in parents)
    audit.record("role.inherited", actor=granted_by, subject=role, parents=names)


@transaction.atomic
def sync_parents(*, role: Role, parents: Iterable[Role], changed_by: "Holder | None" = None) -> None:
    """Let a role inherit from exactly these. Raises as ``inherit`` does."""
    wanted = {parent.pk: parent for parent in parents}
    registrar.touch(structure=True)  # first, so that whoever else links roles waits
    had = {
        link.ancestor_id: link.ancestor
        for link in RoleLink.objects.filter(role=role, is_parent=True).select_related("ancestor")
    }
    if lost := [parent for pk, parent in had.items() if pk not in wanted]:
        disinherit(role=role, parents=lost, taken_by=changed_by)
    inherit(role=role, parents=[parent for pk, parent in wanted.items() if pk not in had], granted_by=changed_by)


@transaction.atomic
def disinherit(*, role: Role, parents: Iterable[Role], taken_by: "Holder | None" = None) -> None:
    """Let a role no longer have the permissions of others, unless a further parent passes them on."""
    parents = list(parents)
    registrar.touch(structure=True)
    if RoleLink.objects.filter(role=role, ancestor__in=parents, is_parent=True).update(is_parent=False):
        _relink(role)
        names = sorted(parent.name for parent in parents)
        audit.record("role.disinherited", actor=taken_by, subject=role, parents=names)


def relink(*, role_ids: Collection[int]) -> None:
    """Work out anew which ancestors these roles have, from their parents and their parents' ancestors."""
    links = RoleLink.objects.filter(is_parent=True)
    parents: dict[int, set[int]] = {pk: set() for pk in role_ids}
    unread = set(role_ids)
    while unread:
        found = list(links.filter(role__in=unread).values_list("role_id", "ancestor_id"))
        for role_id, parent_id in found:
            parents.setdefault(role_id, set()).add(parent_id)
        unread = {parent_id for _, parent_id in found} - parents.keys()
        parents |= {pk: set() for pk in unread}
    RoleLink.objects.filter(role__in=role_ids, is_parent=False).delete()
    RoleLink.objects.bulk_create(
        RoleLink(role_id=role_id, ancestor_id=ancestor_id, is_parent=False)
        for role_id in role_ids
        for ancestor_id in sorted(_find_ancestors(role_id, parents) - parents[role_id])
    )
    registrar.touch(roles=role_ids, structure=True)


def _relink(role: Role) -> None:
    heirs = RoleLink.objects.filter(ancestor=role).values_list("role_id", flat=True)
    relink(role_ids={role.pk, *heirs})


def _find_ancestors(role_id: int, parents: dict[int, set[int]]) -> set[int]:
    found: set[int] = set()
    unread = list(parents[role_id])
    while unread:
        pk = unread.pop()
        if pk not in found:
            found.add(pk)
            unread += parents.get(pk, ())
    return found

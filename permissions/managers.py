"""Lists by rights: users by their roles and permissions, rows of any model by what a user may with them."""

from typing import TYPE_CHECKING, Any, Self

from asgiref.sync import sync_to_async
from django.db.models import Model, Q, QuerySet

from permissions import conf, gate, grants, registrar, scope, selectors
from permissions.snapshots import Snapshot

if TYPE_CHECKING:
    from permissions.models.roles import Holder


class HasRolesQuerySet[User: Model](QuerySet[User]):
    """Users by what they were given. Superusers, hooks and ``is_active`` are not asked; what is forbidden counts."""

    def role(self, *roles: object, guard: str | None = None) -> Self:
        """Keep users who have one of the roles now.

        Raises:
            RoleDoesNotExist: One of the roles is unknown, or of another guard.
        """
        return self.filter(_having_roles(roles, guard))

    def without_role(self, *roles: object, guard: str | None = None) -> Self:
        """Keep users who have none of the roles now. Raises as ``role`` does."""
        return self.exclude(_having_roles(roles, guard))

    def permission(self, *permissions: object, guard: str | None = None) -> Self:
        """Keep users who hold one of the permissions, directly or through a role.

        Raises:
            PermissionDoesNotExist: One of the permissions is unknown, or of another guard.
        """
        return self.filter(_holding(permissions, guard))

    def without_permission(self, *permissions: object, guard: str | None = None) -> Self:
        """Keep users who hold none of the permissions. Raises as ``permission`` does."""
        return self.exclude(_holding(permissions, guard))

    def team(self, *teams: object) -> Self:
        """Keep users who have a role in one of the teams now.

        Raises:
            TeamsNotEnabled: There are no teams.
            TeamDoesNotExist: A key can't be one of a team.
        """
        return self.filter(_in_teams(teams))

    def without_team(self, *teams: object) -> Self:
        """Keep users who have no role in any of the teams now. Raises as ``team`` does."""
        return self.exclude(_in_teams(teams))


class PermittedQuerySet[Row: Model](QuerySet[Row]):
    """Rows by what a user may with them: ``objects = PermittedQuerySet.as_manager()``."""

    def permitted(self, user: "Holder", ability: str, *, guard: str | None = None) -> Self:
        """Keep the rows with which a user may, in one query: what ``gate.can`` says of each.

        Hooks answer single questions only and are not asked; of a policy its ``scope`` is.
        """
        return permitted(self, user, ability, guard=guard)

    async def apermitted(self, user: "Holder", ability: str, *, guard: str | None = None) -> Self:
        """See ``permitted``; the list itself is read as any other, with ``async for``."""
        return await sync_to_async(self.permitted)(user, ability, guard=guard)


def permitted[Rows: QuerySet[Any]](
    objects: Rows, user: "Holder", ability: str, *, guard: str | None = None
) -> Rows:  # Any: of any model
    """Keep the rows with which a user may; see ``PermittedQuerySet.permitted``."""
    if not getattr(user, "is_authenticated", False) or not user.is_active or user.pk is None:
        return objects.none()
    if user.is_superuser and conf.get().superuser_bypass:
        return objects.all()
    guards = selectors.get_guard_names(user)
    own = selectors.find_guard(guard=guard, guards=guards)
    if own not in guards:
        return objects.none()
    snapshots: dict[str | None, Snapshot] = {}
    if grants.find_team_field(objects.model) is None:
        snapshots[None] = registrar.get_snapshot(user, scope.Scope(own, scope.get_team()))
    else:
        facts = registrar.load_user(user)
        teams = {one.team_id for one in facts.assigned} | {one.team_id for one in facts.granted}
        for team in (None, *sorted(teams - {""})):
            snapshots[team] = registrar.get_snapshot(user, scope.Scope(own, team))
    return grants.list_permitted(
        objects,
        user=user,
        name=selectors.strip_guard(ability, guard=own),
        snapshots=snapshots,
        policy=_ask_policy(objects.model, user, ability),
    )


def _ask_policy(model: type[Model], user: "Holder", ability: str) -> Q | None:
    method = getattr(gate.get_policy(model), "scope", None)
    allowed: Q | None = method(user, ability) if callable(method) else None
    return allowed


def _having_roles(roles: tuple[object, ...], guard: str | None) -> Q:
    guards = conf.get().guards
    own = selectors.find_guard(guard=guard, guards=guards)
    found = selectors.find_roles(*roles, guard=own, guards=guards if guard is None else (own,))
    team_id = scope.get_team() or ""
    keys = {role.pk for role in found}
    if team_id:
        # As for has_role, a name means the team's role and the one that all teams can use.
        names = [one for one in selectors.flatten(roles) if isinstance(one, str)]
        keys |= set(selectors.list_role_ids(names=names, guard=own, team_id=team_id))
    return selectors.users_with_roles(keys, team_id=team_id)


def _holding(permissions: tuple[object, ...], guard: str | None) -> Q:
    guards = conf.get().guards
    own = selectors.find_guard(guard=guard, guards=guards)
    condition = Q(pk__in=[])
    for one in selectors.flatten(permissions):
        its, ids = selectors.find_answering_permissions(one, guard=own, guards=guards if guard is None else (own,))
        condition |= selectors.users_with_permissions(ids, guard=its, team_id=scope.get_team() or "")
    return condition


def _in_teams(teams: tuple[object, ...]) -> Q:
    keys = [scope.get_team_key(team) for team in selectors.flatten(teams)]
    scope.get_team_model()
    return selectors.users_in_teams(keys)

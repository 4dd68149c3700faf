"""Teams: which there are for a user, and who has which role in one."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.utils import timezone

from permissions import registrar, scope
from permissions.exceptions import TeamDoesNotExist
from permissions.models.roles import RoleAssignment
from permissions.selectors.conditions import effective_assignments
from permissions.selectors.holders import get_role_names

if TYPE_CHECKING:
    from permissions.models.roles import Holder


def list_teams(*, user: "Holder") -> QuerySet[Any]:  # Any: the model of teams is a setting
    """Return the teams in which a user has a role now.

    Raises:
        TeamsNotEnabled: There are no teams.
    """
    teams, now = scope.get_team_model(), timezone.now()
    assigned = registrar.load_user(user).assigned
    keys = {one.team_id for one in assigned if one.team_id and (one.expires_at is None or one.expires_at > now)}
    return teams._default_manager.filter(pk__in=keys)  # noqa: SLF001 - Django's documented name of it


def list_team_roles(*, user: "Holder") -> list[tuple[str, str, list[str]]]:
    """Return key and name of each team in which a user has a role now, and the names of the roles that count there.

    Raises:
        TeamsNotEnabled: There are no teams.
    """
    found = []
    for team in list_teams(user=user):
        key = scope.get_team_key(team)
        with scope.use_team(team):
            found.append((key, str(team), get_role_names(user=user)))
    return sorted(found, key=lambda one: (one[1], one[0]))


def list_members(*, team_id: str) -> QuerySet[RoleAssignment]:
    """Return the roles that users have in exactly a team now, by user."""
    running = effective_assignments(team_id=team_id)
    rows = RoleAssignment.objects.filter(running, team_id=team_id).select_related("role", "user")
    return rows.order_by(f"user__{get_user_model().USERNAME_FIELD}", "role__name", "pk")


def get_team(*, key: object) -> Model:
    """Return the team of that key.

    Raises:
        TeamsNotEnabled: There are no teams.
        TeamDoesNotExist: There is none of that key, or no team could have it.
    """
    text = scope.get_team_key(key)
    rows = scope.get_team_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    team = rows.filter(pk=text).first() if text.isprintable() else None
    if team is None:
        raise TeamDoesNotExist
    return team

"""Mistakes in ``PERMISSIONS`` that are found at the start."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings


def find(**settings: object) -> list[str]:
    with override_settings(PERMISSIONS=settings):
        return [f"{one.id} {one.msg}" for one in run_checks(tags=["permissions"])]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"GUARDS": ["web", "jobs"]}, "permissions.E001 PERMISSIONS[\"GUARDS\"] has 'jobs', and so is an installed"),
        ({"TEAM_RESOLVER": "project.nowhere"}, "permissions.E002 PERMISSIONS[\"TEAM_RESOLVER\"], 'project.nowhere',"),
        ({"WILDCARD_CLASS": "nowhere.Pattern"}, "permissions.E002 PERMISSIONS[\"WILDCARD_CLASS\"], 'nowhere.Pattern'"),
    ],
)
def test_a_mistake_is_found(settings: dict[str, object], said: str) -> None:
    (found,) = find(**settings)
    assert found.startswith(said)


def test_good_settings_pass() -> None:
    resolver = "permissions.middleware.team_from_header"
    assert find() == []
    assert find(GUARDS=["web", "api"], TEAM_MODEL="articles.Team", TEAM_RESOLVER=resolver) == []

"""System checks of the authorization server."""

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings


def _get_ids() -> set[str | None]:
    return {message.id for message in run_checks(tags=["oauth"])}


def test_our_settings_pass() -> None:
    assert _get_ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("PKCE_REQUIRED", False, "oauth.E001"),
        ("COMPLIANT_BCP_RFC9700_PKCE_METHOD", False, "oauth.E001"),
        ("COMPLIANT_BCP_RFC9700_TOKEN_STORAGE", False, "oauth.E001"),
        ("OIDC_ISS_ENDPOINT", "", "oauth.E002"),
        ("OIDC_ISS_ENDPOINT", "https://other.example", "oauth.E002"),
        ("AUTHORIZATION_CODE_EXPIRE_SECONDS", 600, "oauth.E003"),
        ("ACCESS_TOKEN_EXPIRE_SECONDS", 36000, "oauth.E003"),
        ("REFRESH_TOKEN_EXPIRE_SECONDS", None, "oauth.E003"),
        ("OAUTH2_VALIDATOR_CLASS", "oauth2_provider.oauth2_validators.OAuth2Validator", "oauth.E005"),
        ("OAUTH2_SERVER_CLASS", "oauthlib.oauth2.Server", "oauth.E005"),
    ],
)
def test_a_setting_that_breaks_a_promise_is_found(settings: Settings, name: str, value: object, check: str) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, name: value}
    assert _get_ids() == {check}


@pytest.mark.parametrize("name", ["DEFAULT_SCOPES", "DANGEROUS_SCOPES"])
def test_a_scope_that_does_not_exist_is_found(settings: Settings, name: str) -> None:
    settings.OAUTH = {**settings.OAUTH, name: ["__all__"]}
    assert _get_ids() == {"oauth.E004"}


def test_a_house_where_programs_may_take_passwords_is_warned(settings: Settings) -> None:
    settings.OAUTH = settings.OAUTH | {"ALLOW_PASSWORD_GRANT": True}
    found = run_checks(tags=["oauth"], include_deployment_checks=True)
    assert [message.id for message in found] == ["oauth.W001"]

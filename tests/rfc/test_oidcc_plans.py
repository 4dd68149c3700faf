"""docs/compliance.md shows every module of the OpenID suite's plans, once in each plan that has it."""

import re

import pytest

from tests.processes import ROOT
from tests.rfc.oidcc import PLANS, Plan

#: Those of oidcc-basic-certification-test-plan in its order; the Form Post plan runs the same ones.
MODULES = {
    "oidcc-server",
    "oidcc-response-type-missing",
    "oidcc-idtoken-signature",
    "oidcc-idtoken-unsigned",
    "oidcc-userinfo-get",
    "oidcc-userinfo-post-header",
    "oidcc-userinfo-post-body",
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow",
    "oidcc-scope-profile",
    "oidcc-scope-email",
    "oidcc-scope-address",
    "oidcc-scope-phone",
    "oidcc-scope-all",
    "oidcc-alternate-happy-flow",
    "oidcc-display-page",
    "oidcc-display-popup",
    "oidcc-prompt-login",
    "oidcc-prompt-none-not-logged-in",
    "oidcc-prompt-none-logged-in",
    "oidcc-max-age-1",
    "oidcc-max-age-10000",
    "oidcc-ensure-request-with-unknown-parameter-succeeds",
    "oidcc-id-token-hint",
    "oidcc-login-hint",
    "oidcc-ui-locales",
    "oidcc-claims-locales",
    "oidcc-ensure-request-with-acr-values-succeeds",
    "oidcc-codereuse",
    "oidcc-codereuse-30seconds",
    "oidcc-ensure-registered-redirect-uri",
    "oidcc-ensure-post-request-succeeds",
    "oidcc-server-client-secret-post",
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
    "oidcc-claims-essential",
    "oidcc-ensure-request-object-with-redirect-uri",
    "oidcc-refresh-token",
    "oidcc-ensure-request-with-valid-pkce-succeeds",
}
LOGOUT = {
    "oidcc-rp-initiated-logout",
    "oidcc-rp-initiated-logout-bad-id-token-hint",
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-discovery-endpoint-verification",
    "oidcc-rp-initiated-logout-modified-id-token-hint",
    "oidcc-rp-initiated-logout-no-id-token-hint",
    "oidcc-rp-initiated-logout-no-params",
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri",
    "oidcc-rp-initiated-logout-no-state",
    "oidcc-rp-initiated-logout-only-state",
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
}


def read_section(title: str) -> tuple[int, list[tuple[str, str]]]:
    """Return how many modules it counts, and each row's module and test."""
    _, _, rest = (ROOT / "docs" / "compliance.md").read_text().partition(f"\n## {title}\n")
    text, _, _ = rest.partition("\n## ")
    count = re.search(r"ported as tests: (\d+)\.", text)
    assert count is not None
    return int(count[1]), re.findall(r"^\| (oidcc-\S+) \|.*> (\S+)` \|$", text, re.MULTILINE)


@pytest.mark.parametrize("plan", PLANS, ids=[plan.name for plan in PLANS])
def test_every_module_of_the_plan_has_one_test_of_its_name(plan: Plan) -> None:
    count, rows = read_section(plan.title)
    assert count == len(rows) == 38
    assert dict(rows) == {name: f"test_{name.replace('-', '_')}[{plan.name}]" for name in MODULES}


def test_every_module_of_logout_has_one_test_of_its_name() -> None:
    count, rows = read_section("OpenID RP-Initiated Logout OP")
    assert count == len(rows) == 11
    assert dict(rows) == {name: f"test_{name.replace('-', '_')}" for name in LOGOUT}


def test_the_module_of_discovery_has_a_test_of_its_name() -> None:
    count, rows = read_section("OpenID Config OP")
    assert count == 1
    module = "oidcc-discovery-endpoint-verification"
    assert (module, "test_oidcc_discovery_endpoint_verification") in rows

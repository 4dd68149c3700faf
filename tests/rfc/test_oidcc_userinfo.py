"""The modules of the OpenID suite's plans Basic OP and Form Post OP about userinfo, scopes and claims."""

import json

import pytest
from django.test import Client

from tests.oauth.flow import FORM
from tests.oauth.openid import discover
from tests.rfc.oidcc import Provider, module


@module("userinfo-get", "GET with the token in the header")
@pytest.mark.compliance("OpenID Connect Core", "5.3.2", "sub is always there, and the same as in the ID token")
def test_oidcc_userinfo_get(op: Provider) -> None:
    done = op.sign_in()
    assert done.userinfo == {"sub": done.claims["sub"]}


@module("userinfo-post-header", "POST with the token in the header")
def test_oidcc_userinfo_post_header(op: Provider) -> None:
    done = op.sign_in(scope="openid profile email")
    bearer = {"Authorization": f"Bearer {done.tokens['access_token']}"}
    assert Client().post("/oauth/userinfo", headers=bearer).json() == done.userinfo


@module("userinfo-post-body", "POST with the token in the form")
def test_oidcc_userinfo_post_body(op: Provider) -> None:
    done = op.sign_in(scope="openid profile email")
    body = f"access_token={done.tokens['access_token']}"
    assert Client().post("/oauth/userinfo", body, content_type=FORM).json() == done.userinfo


@module("scope-profile", "the scope profile gives the name, at userinfo alone")
def test_oidcc_scope_profile(op: Provider) -> None:
    done = op.sign_in(scope="openid profile")
    assert done.userinfo == {"sub": done.claims["sub"], "name": "Pat"}
    assert "name" not in done.claims


@module("scope-email", "the scope email gives the address and whether it was verified, at userinfo alone")
def test_oidcc_scope_email(op: Provider) -> None:
    done = op.sign_in(scope="openid email")
    assert done.userinfo == {"sub": done.claims["sub"], "email": "person@example.com", "email_verified": True}
    assert "email" not in done.claims


@module("scope-address", "a scope that isn't supported isn't announced; the module skips")
def test_oidcc_scope_address(op: Provider) -> None:
    assert "address" not in discover()["scopes_supported"]
    assert op.ask(scope="openid address").answer["error"] == "invalid_scope"


@module("scope-phone", "a scope that isn't supported isn't announced; the module skips")
def test_oidcc_scope_phone(op: Provider) -> None:
    assert "phone" not in discover()["scopes_supported"]
    assert op.ask(scope="openid phone").answer["error"] == "invalid_scope"


@module("scope-all", "all scopes that are announced give all their claims; the module skips without address and phone")
def test_oidcc_scope_all(op: Provider) -> None:
    done = op.sign_in(scope="openid profile email")
    assert done.userinfo == {
        "sub": done.claims["sub"],
        "name": "Pat",
        "email": "person@example.com",
        "email_verified": True,
    }


@module("claims-essential", "a claim that is asked for at userinfo is there, and there alone")
def test_oidcc_claims_essential(op: Provider) -> None:
    done = op.sign_in(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert done.userinfo == {"sub": done.claims["sub"], "name": "Pat"}
    assert "name" not in done.claims

"""Fixtures of this folder: the people and clients of the authorization server."""

import pytest
from django.test import Client

from accounts.models import User
from tests.oauth.fixtures import confidential, device, flow, person, rp, service, web
from tests.oauth.flow import Flow
from tests.oauth.walk import give_password
from tests.rfc.oidcc import Provider

__all__ = ["confidential", "device", "flow", "person", "rp", "service", "web"]


@pytest.fixture
def op(request: pytest.FixtureRequest, rp: Flow, person: User) -> Provider:
    """The provider in the plan of the module; the person has a password and is not signed in."""
    give_password(person)
    rp.browser = Client()
    return Provider(rp, person, request.param.response_mode)

"""Fixtures of this folder: the people and clients of the authorization server."""

from tests.oauth.fixtures import confidential, flow, person, service, web

__all__ = ["confidential", "flow", "person", "service", "web"]

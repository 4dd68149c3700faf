"""Fixtures of this folder: the people and clients of the authorization server."""

from tests.oauth.fixtures import confidential, device, flow, person, rp, service, web

__all__ = ["confidential", "device", "flow", "person", "rp", "service", "web"]

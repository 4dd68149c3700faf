"""The swapped models of django-oauth-toolkit, so that each can grow without a change of table."""

from typing import ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from django.db import models
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
    ApplicationManager,
)

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class Application(AbstractApplication):
    """A client: a program that may ask for tokens, with what it is allowed to ask for."""

    #: Scopes that the client may ask for; any other is refused.
    allowed_scopes = models.JSONField(default=list, blank=True)
    #: Off means: no new tokens, and those it has are dead on the next request.
    is_active = models.BooleanField("active", default=True)
    #: Shown on the consent page; empty where unknown.
    homepage_url = models.URLField(blank=True)

    objects: ClassVar[ApplicationManager] = ApplicationManager()

    class Meta(AbstractApplication.Meta):
        abstract = False
        verbose_name = "client"

    def is_usable(self, request: object) -> bool:
        """Say whether the client may get or use tokens at all."""
        return self.is_active

    def get_allowed_schemes(self) -> list[str]:
        """Return ``https``, and ``http`` where every plain address is a loopback one (RFC 8252 §7.3)."""
        plain = [uri for uri in self.redirect_uris.split() if urlsplit(uri).scheme == "http"]
        if plain and all(urlsplit(uri).hostname in LOOPBACK_HOSTS for uri in plain):
            return ["https", "http"]
        return ["https"]


class Grant(AbstractGrant):
    """An authorization code that waits to be exchanged."""

    class Meta(AbstractGrant.Meta):
        abstract = False


class AccessToken(AbstractAccessToken):
    """An access token that was issued. The row says whom for; the token itself is a signed JWT and isn't stored."""

    #: The ``jti`` of the JWT; deleting the row revokes it.
    jti = models.UUIDField(unique=True, default=uuid4, editable=False)

    class Meta(AbstractAccessToken.Meta):
        abstract = False


class RefreshToken(AbstractRefreshToken):
    """A refresh token; only its digest is stored."""

    class Meta(AbstractRefreshToken.Meta):
        abstract = False


class IDToken(AbstractIDToken):
    """An ID token that was issued."""

    class Meta(AbstractIDToken.Meta):
        abstract = False


class DeviceGrant(AbstractDeviceGrant):
    """A device that waits for its user."""

    class Meta(AbstractDeviceGrant.Meta):
        abstract = False

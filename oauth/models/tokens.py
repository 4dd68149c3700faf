"""Tokens that are stored, hashed: opaque access tokens and personal access tokens.

Access tokens are signed JWTs otherwise and leave no row; refresh tokens are those of ``accounts``, in a session of the
client's own. The toolkit insists on models for refresh and ID tokens; theirs stay empty.
"""

from typing import Final
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone
from oauth2_provider.models import AbstractAccessToken, AbstractIDToken, AbstractRefreshToken

#: What stands for the client where somebody uses a personal access token; no client can have this id.
PERSONAL_CLIENT_ID: Final = "personal-access-token"


class AccessToken(AbstractAccessToken):
    """An opaque access token; ``token_checksum`` is its keyed digest, ``token`` stays empty."""

    source_refresh_token = None  # Django's way to leave out a column
    id_token = None  # as above
    #: When the request for it arrived, as the ``iat`` of a JWT; revocations are compared with it.
    created = models.DateTimeField(default=timezone.now, editable=False)
    #: Id of the token, as in the ``jti`` of a JWT.
    jti = models.UUIDField(unique=True, default=uuid4, editable=False)
    #: The client's session for a person; empty for a client that acts for itself.
    session = models.ForeignKey("accounts.Session", on_delete=models.CASCADE, null=True, editable=False)

    class Meta(AbstractAccessToken.Meta):
        abstract = False
        verbose_name = "opaque access token"
        indexes = [models.Index(fields=["expires"], name="oauth_accesstoken_expiry")]


class RefreshToken(AbstractRefreshToken):
    """Unused; see the top."""

    class Meta(AbstractRefreshToken.Meta):
        abstract = False


class IDToken(AbstractIDToken):
    """Unused; see the top."""

    class Meta(AbstractIDToken.Meta):
        abstract = False


class PersonalAccessToken(models.Model):
    """A token that people make for their own programs; only its keyed digest is stored."""

    #: Also the ``jti`` in what is logged of it.
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="personal_access_tokens")
    #: What its owner calls it.
    name = models.CharField(max_length=100)
    #: Keyed SHA-256 (hex).
    digest = models.CharField(max_length=64, unique=True)
    #: Its last characters, to tell tokens apart.
    hint = models.CharField(max_length=8)
    #: What it may do, between spaces; never more than its owner may.
    scope = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    #: Empty for one that stays until it is revoked.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: To the minute or so.
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(fields=["expires_at"], name="oauth_pat_expiry", condition=models.Q(expires_at__isnull=False)),
            models.Index(fields=["revoked_at"], name="oauth_pat_end", condition=models.Q(revoked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

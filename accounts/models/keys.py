"""The keys of the house."""

from django.db import models
from django.utils import timezone


class SigningKey(models.Model):
    """A key pair that signs access tokens."""

    class State(models.TextChoices):
        """Where a key stands in its life."""

        NEXT = "next", "next: published, not yet signing"
        ACTIVE = "active", "active: signs"
        RETIRING = "retiring", "retiring: verifies until its last token has expired"
        WITHDRAWN = "withdrawn", "withdrawn: verifies ID tokens that come back as hints"

    #: Key id, the RFC 7638 thumbprint.
    kid = models.CharField(max_length=64, primary_key=True)
    #: JWS algorithm, such as ES256.
    algorithm = models.CharField(max_length=20)
    #: Public JWK, JSON text.
    public_jwk = models.TextField()
    #: Private JWK, encrypted (AES-256-GCM) with a key derived from SECRET_KEY; empty once the key is withdrawn.
    private_jwk = models.BinaryField()
    state = models.CharField(max_length=10, choices=State)
    #: Published since then.
    created_at = models.DateTimeField(default=timezone.now)
    #: Signing since then.
    activated_at = models.DateTimeField(null=True)
    #: Not signing any more since then.
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["algorithm"], condition=models.Q(state="active"), name="accounts_signingkey_one_active"
            )
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"

"""Sign-ins, and the refresh tokens that keep them alive."""

from uuid import uuid4

from django.db import models
from django.utils import timezone

from accounts.models.users import User


class Session(models.Model):
    """One sign-in on one device, and the family of refresh tokens that keeps it alive."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    created_at = models.DateTimeField(default=timezone.now)
    #: Last sign-in or refresh.
    last_used_at = models.DateTimeField(default=timezone.now)
    #: End of the session, however often it is refreshed.
    expires_at = models.DateTimeField()
    #: When it was ended: logout, reuse of a refresh token, an admin. Never cleared.
    revoked_at = models.DateTimeField(null=True, blank=True)
    #: Client address at sign-in.
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    #: User-Agent header at sign-in, at most 300 characters.
    user_agent = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-last_used_at"]
        indexes = [models.Index(fields=["expires_at"], name="accounts_session_expiry")]

    def __str__(self) -> str:
        return f"Session {self.id}"


class RefreshToken(models.Model):
    """One refresh token; only its keyed digest is stored."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="refresh_tokens")
    #: Keyed SHA-256 (hex) of the token.
    digest = models.CharField(max_length=64, unique=True)
    #: 0 for the sign-in's own token, one more at each rotation.
    generation = models.PositiveIntegerField()
    #: Unused for this long, it is dead.
    expires_at = models.DateTimeField()
    #: When it was exchanged; a second use after that ends the session.
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "generation"], name="accounts_refreshtoken_one_per_generation")
        ]

    def __str__(self) -> str:
        return f"RefreshToken #{self.pk}"

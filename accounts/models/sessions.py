"""Sign-ins, and the refresh tokens that keep them alive."""

from uuid import uuid4

from django.db import models
from django.utils import timezone

from accounts.models.users import User


class Session(models.Model):
    """One sign-in on one device, by a program with tokens or by a person on the pages; or what a client may do for one.

    Whatever was opened with it dies with it: a page asks for the row itself, a token for the ``Revocation`` that is
    written with the row's end.
    """

    class Kind(models.TextChoices):
        """What keeps the session alive."""

        API = "api", "programs and apps"
        BROWSER = "browser", "these pages"
        CLIENT = "client", "an OAuth client"

    class EndReason(models.TextChoices):
        """Why a session was ended before its time."""

        SIGNED_OUT = "signed_out", "signed out"
        ENDED_BY_USER = "ended_by_user", "ended from another device"
        ENDED_BY_ADMIN = "ended_by_admin", "ended by an administrator"
        PASSWORD_CHANGED = "password_changed", "the password was changed"
        EMAIL_CHANGED = "email_changed", "the e-mail address was changed"
        DEACTIVATED = "deactivated", "the account was deactivated"
        TOKEN_REUSED = "token_reused", "a refresh token was used twice"
        CODE_REUSED = "code_reused", "an authorization code was used twice"
        ENDED_BY_CLIENT = "ended_by_client", "the client gave it up"
        CONSENT_REVOKED = "consent_revoked", "the consent was revoked"
        CLIENT_DISABLED = "client_disabled", "the client was disabled"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.API)
    created_at = models.DateTimeField(default=timezone.now)
    #: When the person last showed who they are: at sign-in, and when asked again. The ``auth_time`` of tokens. Empty
    #: while the sign-in is pending, because another factor is still to be shown: such a session opens nothing.
    authenticated_at = models.DateTimeField(null=True, default=timezone.now)
    #: How they showed it, as methods of RFC 8176 §2 between spaces. The ``amr`` of tokens.
    amr = models.CharField(max_length=100, default="pwd")
    #: Last sign-in or refresh; on the pages to the minute or so.
    last_used_at = models.DateTimeField(default=timezone.now)
    #: End of the session, however often it is refreshed.
    expires_at = models.DateTimeField()
    #: When it was ended before its time. Never cleared.
    revoked_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=20, choices=EndReason, blank=True)
    #: Client address at sign-in.
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    #: User-Agent header at sign-in, at most 300 characters.
    user_agent = models.CharField(max_length=300, blank=True)
    #: The OAuth client that acts for the user; empty where the user does.
    client_id = models.CharField(max_length=255, blank=True)
    #: What the client may do, between spaces.
    scope = models.TextField(blank=True)
    #: Audiences of the client's tokens (RFC 8707); empty means this house.
    resource = models.JSONField(default=list, blank=True)
    #: What the client asks to be told of the user (OpenID Connect Core §5.5), as it came; empty where it didn't.
    claims = models.TextField(blank=True)
    #: The session on the pages in which the user let the client in.
    opened_in = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="opened")

    class Meta:
        ordering = ["-last_used_at"]
        indexes = [
            models.Index(fields=["expires_at"], name="accounts_session_expiry"),
            models.Index(
                fields=["revoked_at"], name="accounts_session_end", condition=models.Q(revoked_at__isnull=False)
            ),
            models.Index(fields=["client_id"], name="accounts_session_client", condition=~models.Q(client_id="")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="client") & ~models.Q(client_id="")
                | ~models.Q(kind="client") & models.Q(client_id=""),
                name="accounts_session_client_has_id",
            )
        ]

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
    #: When it was exchanged. For a moment after that it gives the same successor again; then a use ends the session.
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "generation"], name="accounts_refreshtoken_one_per_generation")
        ]

    def __str__(self) -> str:
        return f"RefreshToken #{self.pk}"

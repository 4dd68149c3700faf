"""What people have allowed to whom."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from oauth.models.clients import Application


class Consent(models.Model):
    """That a person lets a client act for them: asked once, and again only for more."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents")
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="consents")
    #: All that was allowed so far, between spaces.
    scope = models.TextField(blank=True)
    #: Audiences that were allowed so far (RFC 8707).
    resource = models.JSONField(default=list, blank=True)
    #: First time.
    granted_at = models.DateTimeField(default=timezone.now)
    #: Last time that the person was asked.
    updated_at = models.DateTimeField(default=timezone.now)
    #: Last time that the client got tokens by it.
    last_used_at = models.DateTimeField(null=True, blank=True)
    #: From then on the person is asked again; empty means never.
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-updated_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["user", "application"], name="oauth_consent_one_per_client")]
        indexes = [
            models.Index(
                fields=["expires_at"], name="oauth_consent_expiry", condition=models.Q(expires_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"Consent #{self.pk}"

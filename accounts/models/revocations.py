"""Access tokens that are dead before their time."""

from django.db import models


class Revocation(models.Model):
    """That access tokens are dead before their time: one token, or all of a session, a user or a client.

    An access token is dead when a row names its ``jti`` or its session, or names its user or client and was written at
    or after the token was issued.
    """

    class Kind(models.TextChoices):
        """What the subject is."""

        TOKEN = "jti", "one token"
        SESSION = "sid", "all of a session"
        USER = "sub", "all of a user"
        CLIENT = "client", "all of a client"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind)
    #: The jti, session id, user id or client_id.
    subject = models.CharField(max_length=255)
    #: Tokens issued up to this instant are dead.
    revoked_at = models.DateTimeField()
    #: When the last token concerned has expired and the row may be swept.
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="accounts_revocation_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

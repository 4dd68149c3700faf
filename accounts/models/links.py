"""What waits for a mailed link to be followed."""

from django.db import models
from django.utils import timezone

from accounts.models.users import LowercaseEmailField, User


class Registration(models.Model):
    """What one registration chose, until the link that it caused is followed.

    Whoever typed it has not shown yet that the address is theirs, so several people can wait for one account.
    """

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="registrations")
    #: The address that was registered; the registration is void when the user's address is another by then.
    email = LowercaseEmailField(max_length=254)
    #: Hash of the chosen password.
    password = models.CharField(max_length=128)
    #: The name that was given; may be empty.
    name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"Registration #{self.pk}"


class EmailToken(models.Model):
    """The one-time token in a mailed link; only its keyed digest is stored."""

    class Purpose(models.TextChoices):
        """What the link is for."""

        VERIFY_EMAIL = "verify_email", "verify e-mail"
        RESET_PASSWORD = "reset_password", "choose a new password"
        CHANGE_EMAIL = "change_email", "change e-mail"

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="email_tokens")
    purpose = models.CharField(max_length=20, choices=Purpose)
    #: Keyed SHA-256 (hex) of the token.
    digest = models.CharField(max_length=64, unique=True)
    #: The address that the link was sent to; to change the address, the new one.
    email = LowercaseEmailField(max_length=254)
    #: The user's address when the link was made; the link is void when it is another by then.
    account_email = LowercaseEmailField(max_length=254)
    #: The registration that the link confirms; empty where the account was not registered by its owner.
    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, null=True, related_name="email_tokens")
    expires_at = models.DateTimeField(db_index=True)
    #: When the link was used, or became void because another one was; it works once.
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"EmailToken #{self.pk}"

"""How passwords are hashed and which are accepted."""

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.exceptions import ValidationError


class Argon2idHasher(Argon2PasswordHasher):
    """argon2id with t=2, m=19 MiB, p=1: 31 ms here, and memory that a burst of sign-ins can bear."""

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1


class MaximumLengthValidator:
    """Refuse passwords that cost more to hash than they add in strength."""

    def __init__(self, max_length: int = 256) -> None:
        """Take the longest accepted length, in characters."""
        self.max_length = max_length

    def validate(self, password: str, user: object = None) -> None:
        """Check the length.

        Raises:
            ValidationError: The password is too long.
        """
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return f"A password can have at most {self.max_length} characters."

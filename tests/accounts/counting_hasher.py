"""A quick hasher that counts."""

from typing import ClassVar, override

from django.contrib.auth.hashers import MD5PasswordHasher


class CountingHasher(MD5PasswordHasher):
    """Counts how many hashes are made, whatever for."""

    made: ClassVar[int] = 0

    @override
    def encode(self, password: str, salt: str) -> str:
        type(self).made += 1
        return super().encode(password, salt)

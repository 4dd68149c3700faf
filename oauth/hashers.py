"""How client secrets are stored."""

from typing import Any

from django.contrib.auth.hashers import BasePasswordHasher
from django.utils.crypto import constant_time_compare

from project.crypto import keyed_digest, keyed_digests

_PURPOSE = "client-secret"


class ClientSecretHasher(BasePasswordHasher):
    """Keyed SHA-256. Client secrets are 256 random bits, so a slow hash would add cost and no strength."""

    algorithm = "client_secret"

    def salt(self) -> str:
        """Return a fixed word: the secret is random enough, the key is secret."""
        return "keyed"

    def encode(self, password: str, salt: str) -> str:
        """Return what is stored."""
        return f"{self.algorithm}${salt}${keyed_digest(_PURPOSE, password)}"

    def decode(self, encoded: str) -> dict[str, str]:
        """Split what is stored."""
        algorithm, salt, digest = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": salt, "hash": digest}

    def verify(self, password: str, encoded: str) -> bool:
        """Compare in constant time, with the current key and the earlier ones."""
        stored = self.decode(encoded)["hash"]
        return any(constant_time_compare(stored, digest) for digest in keyed_digests(_PURPOSE, password))

    def safe_summary(self, encoded: str) -> dict[Any, Any]:  # Any: the hasher's own signature
        """Return what the admin may show."""
        return {"algorithm": self.algorithm}

    def must_update(self, encoded: str) -> bool:
        """Never: there is no work factor."""
        return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Do nothing: the time doesn't depend on the secret."""

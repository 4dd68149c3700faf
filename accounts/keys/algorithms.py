"""The signature algorithms of the house: each key has one, and is used with no other (RFC 8725 §3.1)."""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Final, override

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.errors import UnsupportedKeyOperationError
from joserfc.jwa import ESAlgorithm, JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

type Key = ECKey | OKPKey | RSAKey

_P256_BYTES: Final = 32
_RSA_BITS: Final = 3072
_ECDSA: Final = ECDSA(SHA256(), deterministic_signing=True)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How keys of an algorithm are made and read."""

    generate: Callable[[], Key]
    load: Callable[[dict[str, str | list[str]]], Key]


#: By the names that ``accounts.conf`` has.
ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "ES256": Algorithm(lambda: ECKey.generate_key("P-256", auto_kid=True), ECKey.import_key),
    "Ed25519": Algorithm(lambda: OKPKey.generate_key("Ed25519", auto_kid=True), OKPKey.import_key),
    "EdDSA": Algorithm(lambda: OKPKey.generate_key("Ed25519", auto_kid=True), OKPKey.import_key),
    "RS256": Algorithm(lambda: RSAKey.generate_key(_RSA_BITS, auto_kid=True), RSAKey.import_key),
}


class _DeterministicES256(ESAlgorithm):
    """ES256 whose signatures follow from key and message (RFC 6979), so that a token made again is the same text."""

    @override
    def sign(self, msg: bytes, key: ECKey) -> bytes:
        private = key.raw_value  # the key of a ring, which may do what it is for: joserfc would ask that each time
        if not isinstance(private, EllipticCurvePrivateKey):
            message = "A public key can't sign."
            raise UnsupportedKeyOperationError(message)
        r, s = decode_dss_signature(private.sign(msg, _ECDSA))
        return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)


def _get_eddsa() -> JWSAlgModel:
    """Return EdDSA without the warning that RFC 9864 has a better name for it: readers of ID tokens don't know that."""
    algorithm = copy(JWSRegistry.algorithms["EdDSA"])
    algorithm.security_warning = None
    return algorithm


class SignatureRegistry(JWSRegistry):
    """The algorithms that are known here; whatever a token says, no other can be chosen."""

    algorithms = {
        "ES256": _DeterministicES256("ES256", "P-256", 256, recommended=True),
        "Ed25519": JWSRegistry.algorithms["Ed25519"],
        "EdDSA": _get_eddsa(),
        "RS256": JWSRegistry.algorithms["RS256"],
    }


#: What signs and verifies; the key that its ``kid`` names says by which of the algorithms.
REGISTRY: Final = SignatureRegistry(algorithms=list(ALGORITHMS))

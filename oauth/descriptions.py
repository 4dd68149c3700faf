"""What the developer of a client is told of an error, beside its code (``error_description``, RFC 6749 §5.2)."""

from collections.abc import Mapping
from typing import Final

#: What a developer is told where nobody knows more, or may say more: the same whatever the reason is.
_EXPLANATIONS: Final[Mapping[str, str]] = {
    "access_denied": "The person refused.",
    "expired_token": "The device code has expired; ask for another one.",
    "invalid_client": "The client is unknown, its secret is missing or wrong, or it has none and needs one here.",
    "invalid_grant": "What the client brings is unknown, used, expired, another client's, or does not fit the request.",
    "invalid_scope": "A scope is unknown here, or was not granted.",
    "unauthorized_client": "The client is not registered for that grant type.",
    "unsupported_response_type": "Use code as the response_type.",
}


def describe_error(code: str, description: str | None) -> str:
    """Return a description in characters that one may have: ours where there is no other, empty without either."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in description or _EXPLANATIONS.get(code, ""))

"""Access tokens of the authorization server: the same signed JWT that accounts issues."""

from oauthlib.common import Request, generate_token


def generate_access_token(request: Request) -> str:
    """Return the access token for a request that was granted."""
    return str(generate_token(43))

"""Users, their sign-in sessions, and what backs the tokens of the house."""

from accounts.models.keys import SigningKey
from accounts.models.links import EmailToken, Registration
from accounts.models.revocations import Revocation
from accounts.models.sessions import RefreshToken, Session
from accounts.models.users import LowercaseEmailField, User, UserManager

__all__ = [
    "EmailToken",
    "LowercaseEmailField",
    "RefreshToken",
    "Registration",
    "Revocation",
    "Session",
    "SigningKey",
    "User",
    "UserManager",
]

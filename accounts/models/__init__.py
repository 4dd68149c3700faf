"""Users, their sign-in sessions, and what backs the tokens of the house."""

from accounts.models.keys import SigningKey
from accounts.models.links import EmailToken, Registration
from accounts.models.revocations import Revocation
from accounts.models.sessions import RefreshToken, Session
from accounts.models.users import USERS_FACT, LowercaseEmailField, User, UserManager, get_user_fact_key

__all__ = [
    "USERS_FACT",
    "EmailToken",
    "LowercaseEmailField",
    "RefreshToken",
    "Registration",
    "Revocation",
    "Session",
    "SigningKey",
    "User",
    "UserManager",
    "get_user_fact_key",
]

"""Facts about the authorization server, each told after the commit that made it true."""

from dataclasses import dataclass
from uuid import UUID

from project.signals import FactSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalTokenCreated:
    """Somebody has a new personal access token."""

    user_id: UUID
    #: What its owner calls it.
    name: str
    scopes: tuple[str, ...]


personal_token_created = FactSignal[PersonalTokenCreated]()

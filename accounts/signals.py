"""Facts about accounts, each told after the commit that made it true, and the Django signals that carry them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from project.signals import FactSignal

if TYPE_CHECKING:
    from accounts.models import Session, User

# --- About an account


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFact:
    """What every fact about an account tells."""

    user: "User"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRegistered(UserFact):
    """Somebody registered; the address is not verified yet."""

    registration_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRepeated(UserFact):
    """Somebody tried to register an address that has an account."""

    registration_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRequested(UserFact):
    """The address of an account needs to be verified (again): an admin made the account or changed the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInvited(UserFact):
    """An admin made an account, and its owner is to choose a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailVerified(UserFact):
    """The person showed that the address is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(UserFact):
    """The password of an account is another now, and all its sessions have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetStarted(UserFact):
    """An admin asked that a user choose a new password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChangeRequested(UserFact):
    """The user asked to have another address."""

    #: The new one.
    email: str
    #: The session that asks.
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChanged(UserFact):
    """The account has another address now."""

    previous_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(UserFact):
    """Somebody signed in."""

    session: "Session"
    #: Whether it is known that they signed in with that device, from there, lately; where it isn't, they may have too.
    is_known_device: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenReused(UserFact):
    """A refresh token was used twice, and its session has ended."""

    session: "Session"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsEnded:
    """Every session of a user was ended, at whoever's wish."""

    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDeleted:
    """The account is gone."""

    user_id: UUID
    email: str
    name: str


user_registered = FactSignal[UserRegistered]()
registration_repeated = FactSignal[RegistrationRepeated]()
verification_requested = FactSignal[VerificationRequested]()
user_invited = FactSignal[UserInvited]()
email_verified = FactSignal[EmailVerified]()
password_changed = FactSignal[PasswordChanged]()
password_reset_started = FactSignal[PasswordResetStarted]()
email_change_requested = FactSignal[EmailChangeRequested]()
email_changed = FactSignal[EmailChanged]()
signed_in = FactSignal[SignedIn]()
refresh_token_reused = FactSignal[RefreshTokenReused]()
sessions_ended = FactSignal[SessionsEnded]()
account_deleted = FactSignal[AccountDeleted]()

# --- About an address of which nobody has looked yet whether it has an account


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFact:
    """What every fact about an address tells."""

    #: As it was typed.
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetRequested(AddressFact):
    """Somebody asked to choose a new password for an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResendRequested(AddressFact):
    """Somebody asked for another verification mail to an address."""


password_reset_requested = FactSignal[PasswordResetRequested]()
verification_resend_requested = FactSignal[VerificationResendRequested]()

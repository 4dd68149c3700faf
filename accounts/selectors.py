"""What other modules and apps may read of accounts."""

from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from accounts import registrar, rotation
from accounts.conf import get_settings
from accounts.devices import describe_device, get_network
from accounts.exceptions import InvalidToken
from accounts.models import EmailToken, RefreshToken, Registration, Session, User
from accounts.tokens import AccessClaims
from permissions import audit
from permissions.exceptions import PermissionDoesNotExist
from permissions.selectors import with_roles
from project.crypto import keyed_digests

#: For so long a sign-in makes its device known.
_KNOWN_DEVICE: Final = timedelta(days=90)
#: No mailed link lives longer, whatever the settings say (ASVS 6.4.1).
LONGEST_LINK_LIFETIME: Final = timedelta(days=1)


def get_user_by_email(*, email: str) -> User:
    """Return the user with that address, whatever its case.

    Raises:
        User.DoesNotExist: Nobody has it.
    """
    return User.objects.get(email=email)


def get_token_user(*, claims: AccessClaims) -> User:
    """Return the user that a verified token acts for: without a query where the shared cache knows, else with one.

    Raises:
        InvalidToken: The token was revoked, or the user is gone or inactive.
    """
    try:
        user_id = UUID(claims.subject)
    except ValueError as error:
        raise InvalidToken(detail="the subject is no user id") from error
    user = registrar.find_token_user(claims, user_id=user_id)
    if user is None or not user.is_active:
        raise InvalidToken(detail="revoked, or the user is gone or inactive")
    return user


def is_token_revoked(*, claims: AccessClaims) -> bool:
    """Say whether a verified token was revoked before its time."""
    return registrar.is_token_revoked(claims)


def get_link_lifetime(*, purpose: EmailToken.Purpose) -> timedelta:
    """Return for how long a mailed link works."""
    settings = get_settings()
    lifetimes = {
        EmailToken.Purpose.VERIFY_EMAIL: settings.email_verification_lifetime,
        EmailToken.Purpose.RESET_PASSWORD: settings.password_reset_lifetime,
        EmailToken.Purpose.CHANGE_EMAIL: settings.email_change_lifetime,
    }
    return min(lifetimes[purpose], LONGEST_LINK_LIFETIME)


def find_email_token(
    *, token: str, purpose: EmailToken.Purpose = EmailToken.Purpose.VERIFY_EMAIL, now: datetime
) -> EmailToken | None:
    """Return the stored token of a mailed link, with its user, while the link is good; None otherwise."""
    if not token.isascii():
        return None
    found = EmailToken.objects.filter(
        digest__in=keyed_digests("email-token", token),
        purpose=purpose,
        used_at__isnull=True,
        expires_at__gt=now,
        user__is_active=True,
        user__email=F("account_email"),
    )
    return found.select_related("user", "registration").first()


def find_registration(*, registration_id: int) -> Registration | None:
    """Return a registration that waits for its mail, with its user; None where it is settled or void."""
    return Registration.objects.filter(pk=registration_id, user__email=F("email")).select_related("user").first()


def is_made_by_registration(*, user: User) -> bool:
    """Say whether nobody but people who registered has had a hand in an account: no admin, and no sign-in yet."""
    if user.last_login is not None or user.is_staff or user.is_superuser:
        return False
    return Registration.objects.filter(user=user, created_at=user.created_at, email=user.email).exists()


def find_unverified_user(*, user_id: UUID) -> User | None:
    """Return the active user whose address is still to be verified; None where there is none any more."""
    return User.objects.filter(pk=user_id, is_active=True, email_verified_at__isnull=True).first()


def find_active_user(*, user_id: UUID | None = None, email: str = "") -> User | None:
    """Return the active user with that id or, without one, that address; None where there is none."""
    who = {"email": email} if user_id is None else {"pk": user_id}
    return User.objects.filter(is_active=True, **who).first()


def is_email_in_use(*, email: str) -> bool:
    """Say whether an address has an account, in whichever state."""
    return User.objects.filter(email=email).exists()


def list_waiting_registrations(*, user: User) -> QuerySet[Registration]:
    """Return the registrations of a user's address of which none was confirmed yet."""
    return Registration.objects.filter(user=user, email=user.email).order_by("pk")


def is_new_device(*, session: Session) -> bool:
    """Say whether a sign-in comes from a device and network that its user hasn't signed in from lately.

    Known is whoever signed in within 90 days before, as far as sessions are kept, with a device of the same name and
    from the same network (IPv4 /16, IPv6 /32); by the same OAuth client, where one was given the password. The first
    sign-in of all is that of no new device.
    """
    since = session.created_at - _KNOWN_DEVICE
    earlier = Session.objects.filter(
        user=session.user_id,
        client_id__in={"", session.client_id},
        authenticated_at__isnull=False,
        created_at__gte=since,
        created_at__lt=session.created_at,
    ).order_by()
    # The very same first: it is the most likely, and spares the look at all the others.
    if earlier.filter(ip_address=session.ip_address, user_agent=session.user_agent).exists():
        return False
    here = describe_device(session.user_agent), get_network(session.ip_address)
    seen = list(earlier.values_list("user_agent", "ip_address").distinct())
    if any((describe_device(user_agent), get_network(ip_address)) == here for user_agent, ip_address in seen):
        return False
    signed_in = audit.list_events(event="user.signed_in", subject=str(session.user_id))
    is_among_them = not session.client_id
    return bool(seen) or len(signed_in[:2]) > is_among_them


def find_session_id(*, refresh_token: str) -> UUID | None:
    """Return the id of the session that a refresh token belongs to, dead or alive; None where it is no such token."""
    session = rotation.find_session(refresh_token)
    return session.pk if session else None


def find_refresh_session(*, refresh_token: str, client_id: str) -> Session | None:
    """Return the session that a client's refresh token belongs to, dead or alive, with its user; None without one."""
    return rotation.find_session(refresh_token, client_id=client_id)


def find_living_refresh_token(*, refresh_token: str, client_id: str, now: datetime) -> RefreshToken | None:
    """Return a client's refresh token, with session and user, if it would be exchanged now; nothing is changed."""
    return rotation.find_living(refresh_token, client_id=client_id, now=now)


def list_sessions(*, user: User, now: datetime) -> QuerySet[Session]:
    """Return a user's own living sessions, the one used last first; those of OAuth clients are none."""
    living = Session.objects.filter(user=user, client_id="", revoked_at__isnull=True, authenticated_at__isnull=False)
    idle_since = now - get_settings().browser_idle_lifetime
    is_used = ~Q(kind=Session.Kind.BROWSER) | Q(last_used_at__gt=idle_since)
    has_token = Exists(RefreshToken.objects.filter(session=OuterRef("pk"), used_at__isnull=True, expires_at__gt=now))
    is_kept = Q(kind=Session.Kind.BROWSER) | has_token
    return living.filter(is_used, is_kept, expires_at__gt=now).order_by("-last_used_at", "pk")


def list_client_sessions(*, user_id: UUID, now: datetime) -> QuerySet[Session]:
    """Return the living sessions in which OAuth clients act for a user, the one used last first."""
    living = Session.objects.filter(user_id=user_id, kind=Session.Kind.CLIENT, revoked_at=None, expires_at__gt=now)
    return living.order_by("-last_used_at", "pk")


def list_sessions_of_client(*, client_id: str, now: datetime) -> QuerySet[Session]:
    """Return the living sessions in which an OAuth client acts for whomever, the one used last first."""
    living = Session.objects.filter(client_id=client_id, revoked_at__isnull=True, expires_at__gt=now)
    return living.select_related("user").order_by("-last_used_at", "pk")


def find_client_session(*, session_id: UUID, client_id: str, now: datetime) -> Session | None:
    """Return a living session of an OAuth client, with its user; None where it has none such."""
    living = Session.objects.filter(pk=session_id, client_id=client_id, revoked_at__isnull=True, expires_at__gt=now)
    return living.select_related("user").filter(user__is_active=True).first()


def list_security_events(*, user: User) -> QuerySet[audit.AuditEvent]:
    """Return what the audit log tells of a user, newest first: done to them, or by them to nobody else."""
    own = Q(subject_id=str(user.pk)) | Q(actor_id=str(user.pk)) & ~Q(subject_type=User._meta.label_lower)  # noqa: SLF001 - Django's documented name of it
    return audit.list_events().filter(own)


def get_doer(*, event: audit.AuditEvent, user: User) -> Literal["self", "other", "unknown"]:
    """Say who did what an event tells, as the user may know it: themselves, another user, or who isn't known."""
    if event.actor_id == str(user.pk):
        return "self"
    return "other" if event.actor_id else "unknown"


def list_users(
    *,
    permission: str | None = None,
    role: str | None = None,
    team_id: str | None = None,
    guard: str | None = None,
) -> QuerySet[User]:
    """Return all users, oldest first, with their roles at hand: three queries for any number of users.

    ``permission`` and ``role`` leave those who hold them now, ``team_id`` those who have a role in that team.

    Raises:
        PermissionDoesNotExist: There is no such permission.
        RoleDoesNotExist: There is no such role.
    """
    users = with_roles(User.objects.get_queryset(), team_id=team_id).order_by("created_at", "id")
    if team_id is not None:
        users = users.team(team_id)
    if permission is not None:
        try:
            users = users.permission(permission, guard=guard)
        except PermissionDoesNotExist as error:
            error.fields = {"permission": [error.message]}
            raise
    return users if role is None else users.role(role, guard=guard)

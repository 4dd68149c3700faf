"""New accounts, and showing that an address is one's own."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models.signals import post_save
from django.utils import timezone

from accounts import signals
from accounts.models import EmailToken, Registration, Session, User, get_user_fact_key
from accounts.services.announcing import announce
from accounts.services.credentials import check_password_strength
from accounts.services.links import use_email_token
from accounts.services.sessions import end_all_sessions
from permissions import audit
from project import shared_facts


def register_user(*, email: str, password: str, name: str = "", now: datetime) -> None:
    """Make an account whose address is still to be verified.

    Whether the address has an account already shows in a mail to that address only: answer and work are the same.
    Who registers an address that nobody verified yet waits beside the others; the link that is followed settles whose
    password and name count.

    Raises:
        PasswordRefused: The password is too weak, whoever asks.
    """
    user = User(email=email, name=name, created_at=now)
    check_password_strength(password=password, user=user)
    user.set_password(password)  # the costly step comes before the address is looked at
    with transaction.atomic():
        # Both kinds of addresses take the same statements, and the same round trips to the shared cache, which must be
        # told where the row is new.
        shared_facts.forget([get_user_fact_key(user.pk)])
        User.objects.get_queryset().bulk_create([user], ignore_conflicts=True)
        holder = _lock_user(email)
        if holder is None:  # who had the address was deleted just now
            return
        is_repeated = holder.pk != user.pk
        if not is_repeated:  # bulk_create doesn't tell
            post_save.send(User, instance=user, created=True, update_fields=None, raw=False, using=user._state.db)  # noqa: SLF001 - Django's documented name of it
        _store_registration(holder, chosen=user, is_repeated=is_repeated)


def ensure_user(
    *, email: str, name: str, password: str | None, is_staff: bool = False, is_superuser: bool = False
) -> tuple[User, bool]:
    """Return the user with that address and whether it was made now, verified; an existing one stays as it is.

    Without a password nobody can sign in before one was chosen by a link.
    """
    known = User.objects.filter(email=email).first()
    if known is not None:
        return known, False
    user = User(email=email, name=name, is_staff=is_staff, is_superuser=is_superuser, email_verified_at=timezone.now())
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            audit.record("user.created", subject=user, is_staff=is_staff, is_superuser=is_superuser)
    except IntegrityError:
        return User.objects.get(email=email), False
    return user, True


def request_email_verification(*, user: User) -> None:
    """Void an earlier verification of the user's address and have a new link sent to it."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(email_verified_at=None)
        user.email_verified_at = None
        announce(signals.verification_requested, signals.VerificationRequested(user=user))


def invite_user(*, user: User) -> None:
    """Have a link sent to somebody for whom an admin made an account, with which a password can be chosen."""
    with transaction.atomic():
        audit.record("user.invited", subject=user)
        announce(signals.user_invited, signals.UserInvited(user=user))


def resend_verification(*, email: str) -> None:
    """Have another link sent to an address, if it has an account that waits for one.

    Answer and work are the same for every address; only a mail tells.
    """
    with transaction.atomic():
        known = User.objects.filter(email=email).first()
        audit.record("user.verification_requested", subject=known, email=email)
        announce(signals.verification_resend_requested, signals.VerificationResendRequested(email=email))


def forget_registration(*, registration_id: int) -> None:
    """Delete a registration that came to nothing, with the password that was chosen."""
    Registration.objects.filter(pk=registration_id).delete()


def verify_email(*, token: str, now: datetime) -> User:
    """Use a one-time token up and mark its user's address as verified.

    Until the address is verified, anybody could have registered it; so the password and the name of the registration
    that this link confirms replace those of the account, and all other registrations are forgotten. Of simultaneous
    requests with one token one wins. The user's other links die with it.

    Raises:
        InvalidEmailToken: The token is unknown, used, expired, or was sent to another address than the user has now.
    """
    with transaction.atomic():
        found = use_email_token(token=token, purpose=EmailToken.Purpose.VERIFY_EMAIL, now=now)
        if found.user.email_verified_at is None:
            _confirm(found, now=now)
    return found.user


def _lock_user(email: str) -> User | None:
    """Return the user that has an address, who can't be deleted before the transaction ends."""
    return User.objects.select_for_update(no_key=True).filter(email=email).first()


def _store_registration(user: User, *, chosen: User, is_repeated: bool) -> None:
    """Store what was chosen beside the user that has the address, and announce it."""
    row = Registration.objects.create(
        user=user, email=user.email, password=chosen.password, name=chosen.name, created_at=chosen.created_at
    )
    audit.record("user.registered", subject=user, is_repeated=is_repeated)
    if is_repeated:
        announce(signals.registration_repeated, signals.RegistrationRepeated(user=user, registration_id=row.pk))
    else:
        announce(signals.user_registered, signals.UserRegistered(user=user, registration_id=row.pk))


def _confirm(token: EmailToken, *, now: datetime) -> None:
    """Mark the address as verified, by the token's registration if it has one; the user's row is locked."""
    user, registration = token.user, token.registration
    user.email_verified_at = now
    if registration is not None and (user.is_staff or user.is_superuser):
        # What a stranger may have chosen before these rights were given must not open them.
        user.set_unusable_password()
    elif registration is not None:
        user.password, user.name = registration.password, registration.name
    user.save(update_fields=["email_verified_at", "password", "name"])
    if registration is not None and user.last_login is not None:
        end_all_sessions(user=user, reason=Session.EndReason.PASSWORD_CHANGED, now=now)
        audit.record("user.password_changed", subject=user)
        announce(signals.password_changed, signals.PasswordChanged(user=user))
    Registration.objects.filter(user=user).delete()
    audit.record("user.email_verified", subject=user)
    announce(signals.email_verified, signals.EmailVerified(user=user))

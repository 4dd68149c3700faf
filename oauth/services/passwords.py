"""Passwords that people give to old programs, which pass them on (RFC 6749 §4.3)."""

from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from accounts.services import Access, Device, tell_of_sign_in
from oauth.models import Application
from oauth.services.consents import give_consent
from oauth.services.issuing import Issued, issue_for_person
from permissions import audit


@transaction.atomic
def issue_for_password(
    *,
    application: Application,
    user: AbstractBaseUser,
    scopes: Iterable[str],
    resource: Iterable[str],
    device: Device,
    now: datetime,
) -> Issued | None:
    """Give a client its tokens whose user's password was right just now.

    It counts as the user's consent, so that they see the client among those that act for them, and can end it; and as a
    sign-in, so that they are told of a new device.

    Returns:
        None where the password was changed, or the account deactivated, since it was checked.
    """
    # Whoever changes the password or deactivates the account waits for this, or lets it fail.
    unchanged = get_user_model().objects.filter(pk=user.pk, password=user.password, is_active=True)
    if not unchanged.update(last_login=now):
        return None
    scope, audiences = tuple(scopes), tuple(resource)
    access = Access(
        user_id=user.pk,
        client_id=application.client_id,
        scope=scope,
        resource=audiences,
        authenticated_at=now,
        amr=("pwd",),
    )
    give_consent(user_id=user.pk, application=application, scopes=scope, resource=audiences, now=now)
    audit.record("user.password_given", actor=user, subject=user, client=application.client_id, scopes=list(scope))
    session_id = uuid4()
    issued = issue_for_person(application=application, access=access, device=device, session_id=session_id, now=now)
    tell_of_sign_in(session_id=session_id)
    return issued

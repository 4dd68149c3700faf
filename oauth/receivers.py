"""Facts that end tokens: a client loses scopes or is gone, client or user are switched off, password or address change.

And what becomes of clients, for the audit log; and what people are told of by mail.
"""

from contextlib import suppress

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.jobs import SendEmailJob
from accounts.selectors import find_active_user
from accounts.services import EndReason, disable_client
from accounts.signals import (
    EmailChanged,
    PasswordChanged,
    SessionsEnded,
    email_changed,
    password_changed,
    sessions_ended,
)
from oauth.conf import get_settings
from oauth.exceptions import ClientDoesNotExist
from oauth.models import CLIENTS_FACT, Application, ClientSecret
from oauth.scopes import describe_scopes
from oauth.services import (
    delete_client,
    end_personal_tokens,
    revoke_client,
    revoke_clients_of,
    revoke_lost_rights,
    revoke_user,
    void_waiting,
)
from oauth.signals import PersonalTokenCreated, personal_token_created
from permissions import audit
from project import shared_facts


@receiver(post_save, sender=Application)
def record_client(instance: Application, *, created: bool, raw: bool, **_: object) -> None:
    """Record what a client is now, before anything follows from it; what a dump brings back has its record there."""
    if raw:
        return
    audit.record(
        "client.created" if created else "client.changed",
        subject=instance,
        redirect_uris=instance.redirect_uris.split(),
        allowed_scopes=instance.allowed_scopes,
        is_active=instance.is_active,
    )


@receiver(pre_save, sender=Application)
def remember_rights(instance: Application, *, raw: bool, **_: object) -> None:
    """Look at what a client could do until now, for ``end_tokens_beyond_rights``."""
    known = None if raw or instance._state.adding else Application.objects.filter(pk=instance.pk).first()  # noqa: SLF001 - Django's documented name of it
    instance._former = known  # type: ignore[attr-defined]  # noqa: SLF001 - of the two receivers


@receiver(post_save, sender=Application)
@receiver([post_save, post_delete], sender=ClientSecret)
@receiver(post_delete, sender=Application)
def forget_clients(**_: object) -> None:
    """Let nobody go on believing what was known of clients."""
    shared_facts.forget([CLIENTS_FACT])


@receiver(post_save, sender=Application)
def end_tokens_beyond_rights(instance: Application, **_: object) -> None:
    """End what an inactive client has, for good, and the access tokens of one that may do less than before.

    A client of somebody inactive is no better, also if it was given to them just now.
    """
    former: Application | None = getattr(instance, "_former", None)
    if not Application.objects.usable().filter(pk=instance.pk).exists():
        revoke_client(application=instance, now=timezone.now())
    elif former is not None and (
        set(former.grant_types) - set(instance.grant_types)
        or set(former.allowed_scopes) - set(instance.allowed_scopes)
        or set(former.allowed_resources) - set(instance.allowed_resources)
    ):
        revoke_lost_rights(application=instance, now=timezone.now())


@receiver(pre_delete, sender=get_user_model())
def delete_clients_of_deleted_user(instance: AbstractBaseUser, **_: object) -> None:
    """Delete the clients of a user who goes by the one door, which waits for whoever is exchanging something."""
    for application in Application.objects.filter(user_id=instance.pk).order_by("pk"):
        with suppress(ClientDoesNotExist):  # somebody else has just deleted it
            delete_client(application=application)


@receiver(post_delete, sender=Application)
def kill_tokens_of_deleted_client(instance: Application, *, origin: object = None, **_: object) -> None:
    """Kill what a deleted client still holds; one that would go with its owner is gone before."""
    if isinstance(origin.model() if isinstance(origin, QuerySet) else origin, get_user_model()):
        return
    audit.record("client.deleted", subject=instance)
    lifetime = get_settings().access_token_lifetime
    disable_client(client_id=instance.client_id, lifetime=lifetime, now=timezone.now())


@receiver(pre_save, sender=get_user_model())
def remember_activity(instance: AbstractBaseUser, **_: object) -> None:
    """Look whether a user who is inactive now was active until now, for ``end_tokens_of_inactive_user``."""
    active = get_user_model().objects.filter(pk=instance.pk, is_active=True)
    instance._is_switched_off = not instance.is_active and active.exists()  # type: ignore[attr-defined]  # noqa: SLF001 - of the two receivers


@receiver(post_save, sender=get_user_model())
def end_tokens_of_inactive_user(instance: AbstractBaseUser, **_: object) -> None:
    """End what acts for an inactive user, and the clients that the user has made.

    Switched on again, the user allows clients anew; and the clients work anew.
    """
    if instance.is_active:
        return
    now = timezone.now()
    revoke_user(user_id=instance.pk, reason=EndReason.DEACTIVATED, now=now)
    if getattr(instance, "_is_switched_off", False):
        shared_facts.forget([CLIENTS_FACT])
        revoke_clients_of(owner_id=instance.pk, now=now)


@receiver(post_save, sender=get_user_model())
def end_tokens_with_password_and_address(
    instance: AbstractBaseUser, *, update_fields: frozenset[str] | None = None, **_: object
) -> None:
    """End the personal access tokens of a user in the very transaction that changes password or address.

    What is told after the commit is lost where the database or the process fails just then; and only these tokens
    would then live on, as they belong to no session.
    """
    if update_fields is not None and not update_fields.isdisjoint({"password", "email"}):
        end_personal_tokens(user_id=instance.pk, now=timezone.now())


@personal_token_created.listen
def notify_of_personal_token(fact: PersonalTokenCreated) -> None:
    """Tell the owner, who may not have made it."""
    user = find_active_user(user_id=fact.user_id)
    if user is None:
        return
    context = {
        "email": user.email,
        "name": fact.name.replace(".", " "),  # it could be written as a web site
        "scopes": describe_scopes(fact.scopes),
        "tokens_url": settings.BASE_URL + reverse("oauth2_provider:personal-tokens"),
        "reset_url": settings.BASE_URL + reverse("accounts:request-password-reset"),
    }
    body = render_to_string("oauth/mail/personal_token_created.txt", context)
    SendEmailJob.dispatch(to_email=user.email, subject="You have a new personal access token", body=body)


@password_changed.listen
def end_tokens_of_changed_password(fact: PasswordChanged) -> None:
    """End what acts for a user whose password was changed: it may have been granted by whoever knew the old one."""
    revoke_user(user_id=fact.user.pk, reason=EndReason.PASSWORD_CHANGED, now=timezone.now())


@email_changed.listen
def end_tokens_of_changed_address(fact: EmailChanged) -> None:
    """Do the same for a changed address, for the same reason."""
    revoke_user(user_id=fact.user.pk, reason=EndReason.EMAIL_CHANGED, now=timezone.now())


@sessions_ended.listen
def void_what_waits(fact: SessionsEnded) -> None:
    """Let a person who signs out everywhere be sure that nobody comes in any more by what was allowed before."""
    void_waiting(user_id=fact.user_id, now=timezone.now())

"""Facts that end tokens: a row is gone, a client loses scopes, client or user are switched off, a password changes.

And what becomes of clients, for the audit log.
"""

from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from accounts.signals import PasswordChanged, password_changed
from oauth.models import AccessToken, Application
from oauth.services import kill_client_tokens, kill_token, revoke_client, revoke_lost_scopes, revoke_user
from permissions import audit


@receiver(post_delete, sender=AccessToken)
def kill_deleted_token(instance: AccessToken, **_: object) -> None:
    """Kill the JWT whose row is gone, however it went."""
    kill_token(access_token=instance, now=timezone.now())


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


@receiver(post_save, sender=Application)
def end_tokens_beyond_rights(instance: Application, **_: object) -> None:
    """End what an inactive client has, for good, and what an active one holds beyond its allowed scopes."""
    if instance.is_active:
        revoke_lost_scopes(application=instance, now=timezone.now())
    else:
        revoke_client(application=instance, now=timezone.now())


@receiver(post_delete, sender=Application)
def kill_tokens_of_deleted_client(instance: Application, **_: object) -> None:
    """Kill what a deleted client still holds."""
    audit.record("client.deleted", subject=instance)
    kill_client_tokens(client_id=instance.client_id, now=timezone.now())


@receiver(post_save, sender=get_user_model())
def end_tokens_of_inactive_user(instance: object, **_: object) -> None:
    """End what acts for an inactive user; switched on again, the user allows clients anew."""
    if isinstance(instance, get_user_model()) and not instance.is_active:
        revoke_user(user_id=instance.pk, now=timezone.now())


@password_changed.listen
def end_tokens_of_changed_password(fact: PasswordChanged) -> None:
    """End what acts for a user whose password was changed: it may have been granted by whoever knew the old one."""
    revoke_user(user_id=fact.user.pk, now=timezone.now())

"""Facts that end tokens: a row is deleted, a client or a user is switched off."""

from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from oauth.models import AccessToken, Application
from oauth.services import kill_client_tokens, kill_token, revoke_client, revoke_user


@receiver(post_delete, sender=AccessToken)
def kill_deleted_token(instance: AccessToken, **_: object) -> None:
    """Kill the JWT whose row is gone, however it went."""
    kill_token(access_token=instance, now=timezone.now())


@receiver(post_save, sender=Application)
def end_tokens_of_inactive_client(instance: Application, **_: object) -> None:
    """End what an inactive client has; switched on again, it starts with nothing."""
    if not instance.is_active:
        revoke_client(application=instance, now=timezone.now())


@receiver(post_delete, sender=Application)
def kill_tokens_of_deleted_client(instance: Application, **_: object) -> None:
    """Kill what a deleted client still holds."""
    kill_client_tokens(client_id=instance.client_id, now=timezone.now())


@receiver(post_save, sender=get_user_model())
def end_tokens_of_inactive_user(instance: object, **_: object) -> None:
    """End what acts for an inactive user; switched on again, the user allows clients anew."""
    if isinstance(instance, get_user_model()) and not instance.is_active:
        revoke_user(user_id=instance.pk, now=timezone.now())

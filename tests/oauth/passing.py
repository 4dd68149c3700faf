"""Time that passes for what is stored."""

from datetime import timedelta

from django.db.models import F

from accounts.conf import get_settings
from accounts.models import RefreshToken, Session
from oauth.models import AccessToken, Application, Grant


def let_grace_pass() -> None:
    """Let the used refresh tokens and codes have been used a while ago: another use is no race any more."""
    while_ago = get_settings().refresh_grace + timedelta(seconds=1)
    RefreshToken.objects.filter(used_at__isnull=False).update(used_at=F("used_at") - while_ago)
    Grant.objects.filter(consumed_at__isnull=False).update(consumed_at=F("consumed_at") - while_ago)


def let_sessions_pass(*, by: timedelta) -> None:
    """Let the sessions of clients and what belongs to them have been begun earlier."""
    Session.objects.filter(kind=Session.Kind.CLIENT).update(expires_at=F("expires_at") - by)
    RefreshToken.objects.update(expires_at=F("expires_at") - by)
    AccessToken.objects.update(expires=F("expires") - by)


def set_up(client_id: str, **changes: object) -> Application:
    """Change a client as its owner would, and return it."""
    application: Application = Application.objects.get(client_id=client_id)
    for name, value in changes.items():
        setattr(application, name, value)
    application.full_clean()
    application.save()
    return application

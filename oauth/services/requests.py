"""Authorization requests that wait while their person signs in."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from oauth.models import Application, StoredRequest
from oauth.tokens import hash_request_handle, make_secret

#: How long one waits.
_LIFETIME: Final = timedelta(minutes=10)
#: How many that have waited in vain are deleted with each new one.
_SWEPT_AT_ONCE: Final = 20


def store_request(*, application: Application, parameters: Mapping[str, str], browser_key: str, now: datetime) -> str:
    """Keep a request for ten minutes and return the handle with which the same browser gets it back."""
    old = StoredRequest.objects.filter(expires_at__lte=now).order_by("expires_at").values_list("pk", flat=True)
    StoredRequest.objects.filter(pk__in=list(old[:_SWEPT_AT_ONCE])).delete()
    handle = make_secret()
    StoredRequest.objects.create(
        digest=hash_request_handle(handle, browser_key),
        application=application,
        parameters=dict(parameters),
        created_at=now,
        expires_at=now + _LIFETIME,
    )
    return handle

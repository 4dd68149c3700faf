"""Clients: how they come to be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.db.models import Model, Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from oauth.conf import get_settings
from oauth.exceptions import ClientDoesNotExist, InvalidClientMetadata, SecretDoesNotExist
from oauth.models import LOOPBACK_HOSTS, Application, ClientSecret, Consent, DeviceGrant, Grant, GrantType
from oauth.tokens import make_secret
from permissions import audit
from project.crypto import keyed_digest, keyed_digests

_SECRET_PURPOSE: Final = "client-secret"  # noqa: S105 - the purpose of a key
_HINT_CHARACTERS: Final = 6
#: How many secrets of a client work at a time: the one in use and the one that takes over.
_LIVE_SECRETS: Final = 2
_NOTE_EVERY: Final = timedelta(hours=1)
_MAX_NOTED: Final = 10_000
#: How often the deletion of a client begins anew while codes are being exchanged.
_TRIES: Final = 20
#: When this process noted last that a secret is used.
_noted: dict[str, datetime] = {}
#: How often at most a process records of one client that it was refused.
_RECORD_EVERY: Final = timedelta(minutes=15)
#: When this process recorded last that a client was refused.
_refused: dict[str, datetime] = {}


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client, and its secret where it was made just now: it is stored hashed and can't be had again."""

    application: Application
    client_secret: str | None = field(repr=False)


def register_client(
    *,
    name: str,
    client_type: str,
    grant_types: Iterable[str],
    redirect_uris: Iterable[str] = (),
    allowed_scopes: Iterable[str] = (),
    owner: object = None,
    client_id: str | None = None,
    homepage_url: str = "",
) -> RegisteredClient:
    """Make a client.

    Args:
        name: What people see on the consent page.
        client_type: ``confidential`` or ``public``.
        grant_types: ``GrantType`` values.
        redirect_uris: Compared character by character, but for the port of a loopback address.
        allowed_scopes: All that the client may ever ask for.
        owner: The user who answers for it, if any.
        client_id: Chosen id; without it a random one.
        homepage_url: Shown on the consent page.

    Raises:
        InvalidClientMetadata: Something of it isn't allowed; ``fields`` says what.
    """
    application = Application(
        name=name,
        client_type=client_type,
        grant_types=list(grant_types),
        redirect_uris=" ".join(redirect_uris),
        allowed_scopes=list(allowed_scopes),
        user=owner if isinstance(owner, get_user_model()) else None,
        homepage_url=homepage_url,
    )
    if client_id is not None:
        application.client_id = client_id
    return save_new_client(application=application)


@transaction.atomic
def save_new_client(*, application: Application) -> RegisteredClient:
    """Check and store a client that was filled in, with a secret if it is confidential.

    Raises:
        InvalidClientMetadata: Something of it isn't allowed; ``fields`` says what.
    """
    # Nobody deletes the owner between the check and the commit.
    if application.user_id is not None:
        list(get_user_model().objects.select_for_update(no_key=True).filter(pk=application.user_id).values_list("pk"))
    _check(application)
    application.save()
    if application.client_type != Application.CLIENT_CONFIDENTIAL:
        return RegisteredClient(application, None)
    return RegisteredClient(application, _make_secret(application, now=timezone.now()))


@transaction.atomic
def change_client(*, application: Application, changes: Mapping[str, object]) -> Application:
    """Change some columns of a client, checked as a whole; what it may no longer do ends with the change.

    Raises:
        ClientDoesNotExist: Somebody has deleted it meanwhile.
        InvalidClientMetadata: Something of it isn't allowed; ``fields`` says what.
    """
    # What an exchange stores names the client's row, which it may go on doing meanwhile.
    current = Application.objects.select_for_update(no_key=True).filter(pk=application.pk).first()
    if current is None:
        raise ClientDoesNotExist
    for name, value in changes.items():
        setattr(current, name, value)
    _check(current)
    current.save()
    return current


@transaction.atomic
def delete_client(*, application: Application) -> None:
    """Delete a client with all that it has; its tokens are dead at once. Of simultaneous deletions one is done.

    Raises:
        ClientDoesNotExist: It is gone already.
    """
    for attempt in count(1):
        # Who is exchanging something has locked these, in this order, and needs the client's row for what it gives: so
        # wait for them first, and for nobody once nothing can be added to the client. If something was, begin anew.
        _lock(ClientSecret, application)
        Grant.objects.filter(application=application, consumed_at=None).update(consumed_at=timezone.now())
        DeviceGrant.objects.filter(application=application).update(status=DeviceGrant.DENIED)
        _lock(Consent, application)
        try:
            with transaction.atomic():
                if Application.objects.select_for_update().filter(pk=application.pk).first() is None:
                    raise ClientDoesNotExist
                for model in (Grant, DeviceGrant, Consent):
                    _lock(model, application, nowait=True)
                break
        except OperationalError:
            if attempt == _TRIES:
                raise
    application.delete()


@transaction.atomic
def renew_client_secret(*, application: Application, overlap: timedelta = timedelta(0)) -> RegisteredClient:
    """Give a confidential client another secret; those it has work on for ``overlap``, at most two at a time.

    Raises:
        ClientDoesNotExist: Somebody has deleted it meanwhile.
        InvalidClientMetadata: The client is public, and has no secret to renew.
    """
    if application.client_type != Application.CLIENT_CONFIDENTIAL:
        raise InvalidClientMetadata(fields={"client_type": ["A public client has no secret."]})
    now = timezone.now()
    _lock(ClientSecret, application)  # first, as in delete_client
    if Application.objects.select_for_update(no_key=True).filter(pk=application.pk).first() is None:
        raise ClientDoesNotExist
    living = list(ClientSecret.objects.filter(_is_living(now), application=application))
    for place, secret in enumerate(living):
        ends_at = now + overlap if place < _LIVE_SECRETS - 1 else now
        secret.expires_at = min(secret.expires_at or ends_at, ends_at)
        secret.save(update_fields=["expires_at"])
    secret_text = _make_secret(application, now=now)
    audit.record("client.secret_renewed", subject=application, overlap_seconds=int(overlap.total_seconds()))
    return RegisteredClient(application, secret_text)


@transaction.atomic
def end_client_secret(*, secret: ClientSecret, now: datetime) -> None:
    """Let a secret work no longer, at once.

    Raises:
        SecretDoesNotExist: It went with its client meanwhile.
    """
    secret.expires_at = now
    try:
        secret.save(update_fields=["expires_at"])
    except ClientSecret.NotUpdated as error:
        raise SecretDoesNotExist from error
    audit.record("client.secret_ended", subject=secret.application, hint=secret.hint)


def check_client_secret(*, application: Application, secret: str, now: datetime) -> bool:
    """Say whether a client from ``oauth.registrar`` has that secret, in constant time; and note that it is used.

    A wrong one is recorded, though not each time: who knows a client's id could fill the audit log.
    """
    digests = keyed_digests(_SECRET_PURPOSE, secret)
    found = ""
    for known, expires_at in application.known_secrets:
        is_right = any(constant_time_compare(known, digest) for digest in digests)
        if is_right and (expires_at is None or now < expires_at):
            found = known
    if not found and _is_due(_refused, application.client_id, now, every=_RECORD_EVERY):
        audit.record("client.secret_refused", subject=application, client=application.client_id)
    if found and _is_due(_noted, found, now, every=_NOTE_EVERY):
        due = Q(last_used_at=None) | Q(last_used_at__lte=now - _NOTE_EVERY)
        ClientSecret.objects.filter(due, digest=found).update(last_used_at=now)
    return bool(found)


def _is_due(last: dict[str, datetime], key: str, now: datetime, *, every: timedelta) -> bool:
    """Say so once in a while for each key, as far as this process knows."""
    if now - last.get(key, datetime.min.replace(tzinfo=UTC)) < every:
        return False
    if len(last) >= _MAX_NOTED:
        last.clear()
    last[key] = now
    return True


def _lock(model: type[Model], application: Application, *, nowait: bool = False) -> None:
    """Lock what belongs to a client, until the end of the caller's transaction."""
    rows = model._default_manager.filter(application=application).order_by("pk")  # noqa: SLF001 - Django's documented name of it
    list(rows.select_for_update(nowait=nowait).values_list("pk"))


def _check(application: Application) -> None:
    try:
        application.full_clean()
    except ValidationError as error:
        raise InvalidClientMetadata(fields=error.message_dict) from error


def _make_secret(application: Application, *, now: datetime) -> str:
    secret = make_secret()
    ClientSecret.objects.create(
        application=application,
        digest=keyed_digest(_SECRET_PURPOSE, secret),
        hint=secret[:_HINT_CHARACTERS],
        created_at=now,
    )
    return secret


def _is_living(now: datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=now)


@transaction.atomic
def ensure_client(
    *,
    name: str,
    client_type: str,
    grant_types: Iterable[str],
    redirect_uris: Iterable[str] = (),
    allowed_scopes: Iterable[str],
    homepage_url: str = "",
) -> RegisteredClient:
    """Make a client unless the house has one of that name, which then only gets the redirect URIs that it lacks.

    Raises:
        InvalidClientMetadata: Something of it isn't allowed; ``fields`` says what.
    """
    application = Application.objects.select_for_update().filter(name=name, user=None).order_by("pk").first()
    if application is None:
        return register_client(
            name=name,
            client_type=client_type,
            grant_types=grant_types,
            redirect_uris=redirect_uris,
            allowed_scopes=allowed_scopes,
            homepage_url=homepage_url,
        )
    known = application.redirect_uris.split()
    missing = [uri for uri in redirect_uris if uri not in known]
    if missing:
        application.redirect_uris = " ".join([*known, *missing])
        application.save(update_fields=["redirect_uris", "updated"])
    return RegisteredClient(application, None)


def seed_clients(*, base_url: str) -> list[RegisteredClient]:
    """Make the two clients of the first minute, where they are missing.

    The service acts for itself, and a client has no permissions of its own yet: it gets tokens and may introspect and
    revoke them, but views that ask for a permission answer its token 403, whatever its scopes.
    """
    docs = ensure_client(
        name="Gatehouse API docs",
        client_type=Application.CLIENT_PUBLIC,
        grant_types=[GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
        redirect_uris=[*(f"{origin}/docs/oauth2-redirect" for origin in _spellings(base_url)), _ANY_LOOPBACK_PORT],
        allowed_scopes=list(get_settings().scopes),
    )
    service = ensure_client(
        name="Gatehouse demo service",
        client_type=Application.CLIENT_CONFIDENTIAL,
        grant_types=[GrantType.CLIENT_CREDENTIALS],
        allowed_scopes=["users:read", "roles:read"],
    )
    return [docs, service]


_ANY_LOOPBACK_PORT = "http://127.0.0.1/callback"


def _spellings(base_url: str) -> list[str]:
    """Return the origins under which a browser may have opened the house: on one's own computer there are two."""
    parts = urlsplit(base_url)
    if parts.hostname not in LOOPBACK_HOSTS:
        return [base_url]
    port = f":{parts.port}" if parts.port else ""
    others = [f"{parts.scheme}://{host}{port}" for host in ("127.0.0.1", "localhost")]
    return list(dict.fromkeys([base_url, *others]))

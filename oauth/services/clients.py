"""Clients: how they come to be."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from oauth2_provider.generators import generate_client_secret

from oauth.conf import get_settings
from oauth.exceptions import InvalidClientMetadata
from oauth.models import LOOPBACK_HOSTS, Application
from permissions import audit


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client, and its secret where it was made just now: it is stored hashed and can't be had again."""

    application: Application
    client_secret: str | None = field(repr=False)


def register_client(
    *,
    name: str,
    client_type: str,
    grant_type: str,
    redirect_uris: Iterable[str] = (),
    allowed_scopes: Iterable[str],
    owner: object = None,
    client_id: str | None = None,
    homepage_url: str = "",
) -> RegisteredClient:
    """Make a client.

    Args:
        name: What people see on the consent page.
        client_type: ``confidential`` or ``public``.
        grant_type: ``authorization-code`` or ``client-credentials``.
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
        authorization_grant_type=grant_type,
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
    """Check and store a client that was filled in, with a new secret if it is confidential.

    Raises:
        InvalidClientMetadata: Something of it isn't allowed; ``fields`` says what.
    """
    is_confidential = application.client_type == Application.CLIENT_CONFIDENTIAL
    # A public client's secret is unknown to everybody; it couldn't authenticate with it anyway.
    secret = str(generate_client_secret())
    application.client_secret = secret
    application.hash_client_secret = True
    try:
        application.full_clean()
    except ValidationError as error:
        raise InvalidClientMetadata(fields=error.message_dict) from error
    application.save()
    return RegisteredClient(application, secret if is_confidential else None)


@transaction.atomic
def renew_client_secret(*, application: Application) -> RegisteredClient:
    """Give a confidential client another secret, for one that nobody knows any more; the old one stops working."""
    renewed = save_new_client(application=application)
    audit.record("client.secret_renewed", subject=application)
    return renewed


@transaction.atomic
def ensure_client(
    *,
    name: str,
    client_type: str,
    grant_type: str,
    redirect_uris: Iterable[str] = (),
    allowed_scopes: Iterable[str],
    homepage_url: str = "",
) -> RegisteredClient:
    """Make a client unless there is one of that name, which then only gets the redirect URIs that it lacks.

    Raises:
        InvalidClientMetadata: Something of it isn't allowed; ``fields`` says what.
    """
    application = Application.objects.select_for_update().filter(name=name).order_by("pk").first()
    if application is None:
        return register_client(
            name=name,
            client_type=client_type,
            grant_type=grant_type,
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
        grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=[*(f"{origin}/docs/oauth2-redirect" for origin in _spellings(base_url)), _ANY_LOOPBACK_PORT],
        allowed_scopes=list(get_settings().scopes),
    )
    service = ensure_client(
        name="Gatehouse demo service",
        client_type=Application.CLIENT_CONFIDENTIAL,
        grant_type=Application.GRANT_CLIENT_CREDENTIALS,
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

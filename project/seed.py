"""The first data of an installation: roles, three users, two clients, and the file that remembers their secrets.

For trying the house out. The file ``credentials.json`` in ``VAR_DIR`` is readable by its owner only and has the shape
``{"users": [{"email", "password", "roles"}], "clients": [{"name", "client_id", "client_secret", "redirect_uris",
"grant_types", "scopes"}]}``; ``client_secret`` is null for a public client.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_urlsafe

from django.conf import settings
from django.db import transaction

from accounts.services import ensure_user
from oauth.services import RegisteredClient, renew_client_secret, seed_clients
from permissions.services import assign_role, seed_roles

_USERS = (("admin@example.com", "Ada Admin", "admin"), ("editor@example.com", "Edda Editor", "editor"),
          ("user@example.com", "Uli User", "user"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCredentials:
    """How a seeded user signs in."""

    email: str
    password: str
    roles: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """How a seeded client authenticates."""

    name: str
    client_id: str
    #: Null for a public client.
    client_secret: str | None
    redirect_uris: list[str]
    grant_types: list[str]
    scopes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """All that ``credentials.json`` holds."""

    users: list[UserCredentials] = field(default_factory=list)
    clients: list[ClientCredentials] = field(default_factory=list)


def credentials_path() -> Path:
    """Return where the credentials of this installation are kept."""
    return Path(settings.VAR_DIR) / "credentials.json"


def read_credentials(path: Path) -> Credentials:
    """Return the credentials that a file holds; empty where there is no file yet.

    Raises:
        ValueError: The file is there but can't be understood.
    """
    try:
        stored = json.loads(path.read_text())
        return Credentials(
            users=[UserCredentials(**user) for user in stored["users"]],
            clients=[ClientCredentials(**client) for client in stored["clients"]],
        )
    except FileNotFoundError:
        return Credentials()
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} cannot be understood; move it away and seed again."
        raise ValueError(message) from error


def seed() -> Credentials:
    """Make what is missing and return the credentials; what is there stays as it is.

    A password is taken from ``SEED_PASSWORD``, else from the file, else made up.
    """
    known = read_credentials(credentials_path())
    with transaction.atomic():
        seed_roles()
        users = [_seed_user(email, name, role, known) for email, name, role in _USERS]
        clients = [_client_credentials(client, known) for client in seed_clients(base_url=settings.BASE_URL)]
        credentials = Credentials(users=users, clients=clients)
        if credentials != known:
            _write_credentials(credentials)
    return credentials


def _seed_user(email: str, name: str, role: str, known: Credentials) -> UserCredentials:
    remembered = next((user.password for user in known.users if user.email == email), "")
    password = settings.SEED_PASSWORD or remembered or token_urlsafe(15)
    is_admin = role == "admin"
    user, is_new = ensure_user(email=email, name=name, password=password, is_staff=is_admin, is_superuser=is_admin)
    if is_new:
        assign_role(user=user, role=role)
    elif password != remembered:
        # The file was lost, or SEED_PASSWORD is new: the seeded users are for trying out, so they follow.
        user.set_password(password)
        user.save(update_fields=["password"])
    return UserCredentials(email=email, password=password, roles=[role])


def _client_credentials(client: RegisteredClient, known: Credentials) -> ClientCredentials:
    application = client.application
    secret = client.client_secret
    if secret is None and application.client_type == "confidential":
        remembered = next((c.client_secret for c in known.clients if c.client_id == application.client_id), None)
        # Where the file was lost, nobody knows the secret: the seeded client is for trying out, so it gets another.
        secret = remembered or renew_client_secret(application=application).client_secret
    return ClientCredentials(
        name=application.name,
        client_id=application.client_id,
        client_secret=secret,
        redirect_uris=application.redirect_uris.split(),
        grant_types=list(application.grant_types),
        scopes=list(application.allowed_scopes),
    )


def _write_credentials(credentials: Credentials) -> None:
    """Replace the file in one step, so that a crash leaves the old one or the new one."""
    path = credentials_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.write("\n")
    draft.replace(path)

"""Which clients there are, with their secrets: from the shared cache where it knows, else by one query or two.

Whatever becomes of any client that is there forgets what is kept of all of them; see ``oauth.receivers``.
"""

import time
from datetime import datetime
from secrets import token_hex
from typing import Final

from oauth.models import CLIENTS_FACT, Application, ClientSecret, get_client_fact_key
from project import shared_facts

#: The fact that every fact about a client names; it makes nothing last longer, so it may do so itself. In seconds.
_CLIENTS_SECONDS: Final = 24 * 3600
_MAX_ID_CHARACTERS: Final = 255
_MAX_KNOWN: Final = 1_000
#: For so long a client need not be read again while no client has changed, as far as the cache was told. In seconds.
_KNOWN_SECONDS: Final = 5.0
#: Clients as this process has read them, each with what ``CLIENTS_FACT`` was then and until when that is enough. They
#: are shared: nobody changes one.
_known: dict[str, tuple[str, float, Application]] = {}


def find_client(client_id: str) -> Application | None:
    """Return the client of that id if it may be used, with ``known_secrets``; None where there is none."""
    if not client_id or len(client_id) > _MAX_ID_CHARACTERS or "\x00" in client_id:
        return None
    key = get_client_fact_key(client_id)
    client, reading = _find_known(client_id), shared_facts.Reading()
    if client is None:
        reading = shared_facts.read([CLIENTS_FACT, key])
        client = _find_kept(reading, key)
    if client is None:
        reading.note()
        client = Application.objects.usable().filter(client_id=client_id).first()
        if client is None:
            return None
        client.known_secrets = _query_secrets(client)
        _remember(reading, key, client)
    return client


def _query_secrets(client: Application) -> tuple[tuple[str, datetime | None], ...]:
    if client.client_type != Application.CLIENT_CONFIDENTIAL:
        return ()
    return tuple(ClientSecret.objects.filter(application=client).values_list("digest", "expires_at"))


def _remember(reading: shared_facts.Reading, key: str, client: Application) -> None:
    clients = reading.facts.get(CLIENTS_FACT) or token_hex(8)
    secrets = [[digest, expires_at and expires_at.isoformat()] for digest, expires_at in client.known_secrets]
    reading.remember({CLIENTS_FACT: clients}, seconds=_CLIENTS_SECONDS)
    reading.remember({key: {"clients": clients, "row": client.to_fact(), "secrets": secrets}})


def _find_known(client_id: str) -> Application | None:
    """Return a client that this process has read from the cache, if no client has changed since."""
    known = _known.get(client_id)
    if known is None or known[1] < time.monotonic():
        return None
    clients, _, client = known
    return client if shared_facts.read([CLIENTS_FACT]).facts.get(CLIENTS_FACT) == clients else None


def _find_kept(reading: shared_facts.Reading, key: str) -> Application | None:
    client: Application | None = None
    match reading.facts.get(key), reading.facts.get(CLIENTS_FACT):
        case {"clients": str(its), "row": row, "secrets": list(secrets)}, str(clients) if its == clients:
            client = Application.find_in_fact(row)
            if client is not None:
                client.known_secrets = tuple(
                    (str(digest), expires_at and datetime.fromisoformat(expires_at)) for digest, expires_at in secrets
                )
                if len(_known) >= _MAX_KNOWN:
                    _known.clear()
                _known[client.client_id] = (clients, time.monotonic() + _KNOWN_SECONDS, client)
    if client is None:
        reading.facts.pop(key, None)
    return client

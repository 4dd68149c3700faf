"""Clients as processes know them."""

import pytest

from oauth import registrar
from oauth.models import CLIENTS_FACT, Application, ClientSecret, get_client_fact_key
from oauth.services import RegisteredClient
from project import shared_facts

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not shared_facts.is_shared(), reason="needs a shared cache: --stores=servers"),
]


def test_a_client_that_has_not_changed_is_read_once(confidential: RegisteredClient) -> None:
    client_id = confidential.application.client_id
    registrar.find_client(client_id)
    known = registrar.find_client(client_id)
    assert registrar.find_client(client_id) is known


@pytest.mark.parametrize("change", ["client", "secret", "bulk", "gone"])
def test_what_becomes_of_a_client_is_known_at_once(confidential: RegisteredClient, change: str) -> None:
    application = confidential.application
    for _ in range(3):
        found = registrar.find_client(application.client_id)
        assert found is not None
        assert len(found.known_secrets) == 1
    match change:
        case "client":
            application.is_active = False
            application.save()
        case "secret":
            ClientSecret.objects.get().delete()
        case "bulk":
            Application.objects.update(is_active=False)
        case _:
            application.delete()
    found = registrar.find_client(application.client_id)
    assert found is None or found.known_secrets == ()


def test_a_change_that_the_cache_was_not_told_of_is_believed_for_no_longer_than_facts_last(
    confidential: RegisteredClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_id = confidential.application.client_id
    monkeypatch.setattr(registrar, "_KNOWN_SECONDS", -1.0)  # what this process remembers is too old at once
    for _ in range(3):
        registrar.find_client(client_id)
    of_all = shared_facts.read([CLIENTS_FACT]).facts
    ClientSecret.objects.all()._raw_delete("default")
    shared_facts.forget([get_client_fact_key(client_id)])  # its own fact has ended, that of all clients lives on
    assert shared_facts.read([CLIENTS_FACT]).facts == of_all
    found = registrar.find_client(client_id)
    assert found is not None
    assert found.known_secrets == ()

"""The one connection pool of a process."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings as house
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from accounts.throttles import Door, may_mail
from project import shared_facts
from project.redis_client import get_redis_client

pytestmark = pytest.mark.skipif(not house.REDIS_URL, reason="about Redis alone")


@pytest.mark.django_db(transaction=True)
def test_facts_and_counts_take_turns_with_one_connection(settings: Settings) -> None:
    url, name = house.REDIS_URL, f"one-pool-{uuid4()}"
    settings.REDIS_URL = f"{url}?client_name={name}"
    # What is believed without asking comes over a connection of its own.
    settings.SHARED_FACTS = settings.SHARED_FACTS | {"URL": settings.REDIS_URL, "SILENCE_SECONDS": 0}
    now = timezone.now()
    for number in range(3):
        reading = shared_facts.read(["a"])
        reading.note()
        reading.remember({"a": number})
        assert may_mail("ada@example.com", door=Door.RESET, now=now + timedelta(hours=number))
    shared_facts.forget(["a"])
    with Redis.from_url(url) as server:
        assert [client["name"] for client in server.client_list()].count(name) == 1
    get_redis_client(settings.REDIS_URL).close()


def test_each_server_has_a_client_of_its_own() -> None:
    url = "redis://127.0.0.1:1/0"
    assert get_redis_client(url) is get_redis_client(url)
    assert get_redis_client(url) is not get_redis_client("redis://127.0.0.1:1/1")

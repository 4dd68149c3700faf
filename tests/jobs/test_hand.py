"""What a worker process holds: whose turn it is, what is done, and what others may have."""

import math
from uuid import uuid4

import pytest
import structlog

from jobs.drivers.base import UNKNOWN, Claim
from jobs.worker.hand import Hand


def _claim(name: str = "a") -> Claim:
    return Claim(
        job_id=uuid4(),
        queue="default",
        job_class=name,
        payload="",
        priority=0,
        attempts=1,
        lease_id=uuid4(),
        lease_expires_at=UNKNOWN,
        connection="database",
        worker="w",
    )


@pytest.fixture
def claims() -> list[Claim]:
    return [_claim(name) for name in "abc"]


@pytest.fixture
def hand(claims: list[Claim]) -> Hand:
    """A hand that holds three jobs, of which none runs."""
    hand = Hand()
    hand.take(claims, until=math.inf)
    return hand


def test_jobs_have_their_turns_in_the_order_in_which_they_were_claimed(hand: Hand, claims: list[Claim]) -> None:
    assert [hand.begin() for _ in range(4)] == [*claims, None]
    assert hand.get_running() is None


def test_jobs_whose_leases_may_have_ended_have_no_turn(claims: list[Claim]) -> None:
    hand = Hand()
    hand.take(claims, until=0)
    with structlog.testing.capture_logs() as lines:
        assert hand.begin() is None
    assert [(line["event"], line["count"]) for line in lines] == [("leases_lost", 3)]
    assert hand.list_held() == []


def test_jobs_whose_leases_were_renewed_keep_their_turn(claims: list[Claim]) -> None:
    hand = Hand()
    hand.take(claims, until=0)
    hand.extend(math.inf)
    assert hand.begin() == claims[0]


def test_the_leases_of_the_job_that_runs_and_of_those_behind_it_must_last(hand: Hand, claims: list[Claim]) -> None:
    hand.begin()
    assert hand.list_held() == claims
    hand.finish(claims[0])
    assert hand.list_held() == claims[1:]
    assert hand.get_running() is None
    hand.begin()
    hand.end()
    assert hand.list_held() == claims[2:]


def test_jobs_that_are_done_are_told_once_and_again_where_the_store_did_not_hear(
    hand: Hand, claims: list[Claim]
) -> None:
    for claim in claims[:2]:
        hand.begin()
        assert hand.finish(claim)
        hand.end()
    assert hand.take_done(older_than=60) == []
    assert hand.take_done() == claims[:2]
    assert hand.take_done() == []
    hand.finish(claims[2])
    hand.put_back(claims[:2])
    assert hand.take_done() == claims


def test_jobs_whose_turn_has_not_come_are_let_go_of_where_one_takes_long(hand: Hand, claims: list[Claim]) -> None:
    hand.begin()
    assert hand.take_unbegun(behind=60) == []
    assert hand.take_unbegun() == claims[1:]
    assert (hand.list_held(), hand.begin()) == (claims[:1], None)


def test_jobs_that_could_not_be_given_back_keep_their_turn(hand: Hand, claims: list[Claim]) -> None:
    hand.take_back(hand.take_unbegun())
    assert [hand.begin() for _ in range(3)] == claims


def test_something_presses_while_a_job_is_done_or_waits_behind_another(hand: Hand, claims: list[Claim]) -> None:
    assert not hand.is_pressing.is_set()
    hand.begin()
    assert hand.is_pressing.is_set()
    hand.rest()
    assert hand.is_pressing.is_set()
    hand.take_unbegun()
    hand.rest()
    assert not hand.is_pressing.is_set()
    hand.finish(claims[0])
    hand.rest()
    assert hand.is_pressing.is_set()
    hand.take_done()
    hand.rest()
    assert not hand.is_pressing.is_set()

"""What a worker process holds: whose turn it is, what is done, and what others may have."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from uuid import UUID, uuid4

import pytest
import structlog

from jobs.drivers.base import UNKNOWN, Claim
from jobs.worker.hand import Hand
from jobs.worker.ledger import Ledger, Rows
from tests.waiting import wait_until


def _claim(name: str = "a", *, crashes: int = 0, queue: str = "default") -> Claim:
    return Claim(
        job_id=uuid4(),
        queue=queue,
        job_class=name,
        payload="",
        priority=0,
        attempts=1,
        lease_id=uuid4(),
        lease_expires_at=UNKNOWN,
        connection="database",
        worker="w",
        crashes=crashes,
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
    assert hand.get_running() == claims[0]
    assert hand.begun == 3


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
    hand.end(claims[1])
    assert hand.list_held() == claims[2:]


def test_several_jobs_run_at_a_time_and_end_in_any_order(hand: Hand, claims: list[Claim]) -> None:
    for _ in claims:
        hand.begin()
    assert (hand.count_running(), hand.count_waiting(), hand.get_running()) == (3, 0, claims[0])
    hand.end(claims[1])
    hand.finish(claims[0])
    hand.end(claims[0])
    assert (hand.list_held(), hand.take_done()) == (claims[2:], claims[:1])
    hand.end(claims[2])
    assert not hand.is_busy()


def test_a_job_has_its_turn_where_it_fits(hand: Hand, claims: list[Claim]) -> None:
    def is_b(claim: Claim) -> bool:
        return claim.job_class == "b"

    assert [hand.begin(is_b), hand.begin(is_b), hand.begin()] == [claims[1], None, claims[0]]


def test_nobody_has_a_turn_while_the_hand_is_held(hand: Hand, claims: list[Claim]) -> None:
    hand.is_held = True
    assert hand.begin() is None
    hand.let_go_on()
    assert hand.begin() == claims[0]
    hand.close()
    assert (hand.begin(), hand.wait_for_turn(lambda _claim: True)) == (None, None)


def _wait_in_thread(hand: Hand, let_come: Callable[[], object]) -> Claim | None:
    """Return what somebody gets who waits for a turn before it comes."""
    got: list[Claim | None] = []
    thread = threading.Thread(target=lambda: got.append(hand.wait_for_turn(lambda _claim: True)))
    thread.start()
    let_come()
    thread.join(20)
    return got[0]


def test_who_waits_for_a_turn_gets_it_when_a_job_comes_or_none_when_the_hand_is_closed(claims: list[Claim]) -> None:
    hand = Hand()
    assert _wait_in_thread(hand, lambda: hand.take(claims, until=math.inf)) == claims[0]
    hand.take_unbegun()
    assert _wait_in_thread(hand, hand.close) is None


def test_a_job_that_is_back_before_its_first_try_is_gone_stays_held() -> None:
    first = _claim()
    hand, second = Hand(ledger := Ledger()), first._replace(lease_id=uuid4(), attempts=2)
    hand.take([first], until=math.inf)
    hand.begin()
    hand.take([second], until=math.inf)  # the store has it again, and another thread was quicker
    hand.begin()
    hand.end(first)
    assert hand.list_held() == [second]
    assert [claim.lease_id for claim in ledger.read().running] == [second.lease_id]
    hand.end(second)
    assert not hand.is_busy()
    assert ledger.read() == Rows()


def test_a_job_that_workers_have_died_of_twice_runs_alone() -> None:
    hand, once, suspect, other = Hand(), _claim(crashes=1), _claim(crashes=2), _claim()
    for claim in (once, suspect, other):
        hand.take([claim], until=math.inf)
    assert hand.holds_off()
    assert hand.begin() == once
    assert hand.begin() is None
    hand.end(once)
    assert hand.begin() == suspect
    assert hand.begin() is None
    assert _wait_in_thread(hand, lambda: hand.end(suspect)) == other
    assert not hand.holds_off()


def test_a_job_of_an_isolated_queue_runs_alone_and_is_the_last_of_its_process() -> None:
    hand, running, isolated, other = Hand(isolated=["apart"]), _claim(), _claim(queue="apart"), _claim()
    for claim in (running, isolated, other):
        hand.take([claim], until=math.inf)
    assert hand.begin() == running
    assert hand.begin() is None
    hand.end(running)
    assert hand.begin() == isolated
    hand.end(isolated)
    assert hand.is_spent
    assert hand.begin() is None
    assert hand.take_unbegun() == [other]


def test_a_job_that_is_to_run_alone_goes_back_while_others_run_and_waits_longer_each_time() -> None:
    hand, running, suspect = Hand(), _claim(), _claim(crashes=2)
    hand.take([running], until=math.inf)
    hand.begin()
    hand.take([suspect], until=math.inf)
    assert hand.take_unbegun(behind=60) == []
    first = time.monotonic()
    wait_until(lambda: hand.take_unbegun(behind=0.01) == [suspect])
    took = time.monotonic() - first
    assert hand.holds_off()  # somebody else is to have it
    wait_until(lambda: not hand.holds_off())
    hand.take([suspect], until=math.inf)
    again = time.monotonic()
    wait_until(lambda: hand.take_unbegun(behind=0.01) == [suspect])
    assert time.monotonic() - again > max(took, 0.5)
    hand.end(running)
    assert not hand.holds_off()
    hand.take([suspect], until=math.inf)
    assert hand.begin() == suspect


@pytest.mark.parametrize("single", [_claim(crashes=1), _claim(queue="apart")], ids=["crashed before", "isolated"])
def test_a_job_that_may_do_harm_is_held_alone_and_what_goes_back_is_in_the_ledger_until_it_has(single: Claim) -> None:
    hand, first, last = Hand(ledger := Ledger(), isolated=["apart"]), _claim(), _claim()
    hand.take([first, single, last], until=math.inf)
    assert hand.list_held() == [first]
    assert _get_ids(ledger.read().unbegun) == _get_ids([first, single, last])
    assert hand.take_unbegun(behind=60) == [single, last]
    hand.forget([single, last])
    assert _get_ids(ledger.read().unbegun) == _get_ids([first])
    hand.take_unbegun()
    hand.take([single, last], until=math.inf)
    assert hand.list_held() == [single]


def _get_ids(claims: Iterable[Claim]) -> set[UUID]:
    return {claim.job_id for claim in claims}


def test_jobs_have_no_turn_after_the_lease_of_the_oldest_may_have_ended(claims: list[Claim]) -> None:
    hand = Hand()
    hand.take(claims[:1], until=0)
    hand.take(claims[1:], until=math.inf)
    assert hand.begin() is None


def test_jobs_that_are_done_are_told_once_and_again_where_the_store_did_not_hear(
    hand: Hand, claims: list[Claim]
) -> None:
    for claim in claims[:2]:
        hand.begin()
        assert hand.finish(claim)
        hand.end(claim)
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


def test_jobs_that_could_not_be_given_back_go_the_next_time_and_have_no_turn(hand: Hand, claims: list[Claim]) -> None:
    hand.take_back(hand.take_unbegun())
    assert hand.begin() is None
    assert hand.is_busy()
    assert hand.take_unbegun(behind=60) == claims
    assert not hand.is_busy()


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

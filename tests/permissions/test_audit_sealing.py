"""Joining events to the chain."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction
from pytest_django import DjangoAssertNumQueries

from permissions import audit
from permissions.models import AuditEvent, AuditHead
from tests.accounts.racing import race
from tests.permissions.auditing import execute, find_fault, get_numbers, record_events, record_sealed
from tests.waiting import wait_until

needs_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="on SQLite nobody else writes during a transaction"
)


@pytest.mark.django_db
def test_events_are_sealed_in_the_order_in_which_they_were_recorded() -> None:
    record_events(3)
    assert audit.seal() == 3
    assert list(AuditEvent.objects.order_by("pk").values_list("position", flat=True)) == [1, 2, 3]


@pytest.mark.django_db
def test_each_event_names_the_hash_of_the_one_before() -> None:
    record_sealed(3)
    first, second, third = AuditEvent.objects.order_by("position")
    assert [first.previous_hash, second.previous_hash, third.previous_hash] == ["", first.hash, second.hash]
    assert len({first.hash, second.hash, third.hash}) == 3


@pytest.mark.django_db
def test_sealing_goes_on_where_it_stopped() -> None:
    record_sealed(2)
    record_events(2)
    assert audit.seal() == 2
    assert AuditHead.objects.get().position == 4
    assert find_fault() is None


@pytest.mark.django_db
def test_more_events_than_one_batch_holds_are_all_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("permissions.audit.sealing.BATCH_SIZE", 3)
    record_sealed(8)
    assert get_numbers() == list(range(1, 9))
    assert find_fault() is None


@pytest.mark.django_db
def test_sealing_nothing_costs_one_query_and_takes_no_lock(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1) as captured:
        assert audit.seal() == 0
    assert captured.captured_queries[0]["sql"].startswith("SELECT")


@pytest.mark.django_db
def test_two_events_that_say_the_same_have_different_signatures() -> None:
    audit.record("thing.happened")
    audit.record("thing.happened")
    assert AuditEvent.objects.values_list("signature", flat=True).distinct().count() == 2


@pytest.mark.django_db
def test_a_forged_event_is_sealed_as_evidence_and_found(caplog: pytest.LogCaptureFixture) -> None:
    record_events(2)
    execute("UPDATE {event} SET event = 'other.thing' WHERE id = %s", AuditEvent.objects.earliest("pk").pk)
    assert audit.seal() == 2
    assert "audit_event_forged" in caplog.text
    assert find_fault() == ("forged", 1)


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_rolled_back_leaves_no_gap_in_the_chain() -> None:
    record_sealed(1)
    with transaction.atomic():
        record_events(1)
        transaction.set_rollback(True)
    record_sealed(1)
    assert list(AuditEvent.objects.order_by("position").values_list("position", flat=True)) == [1, 2]
    assert find_fault() is None


@contextmanager
def open_transaction() -> Iterator[threading.Event]:
    """Record one event in a transaction that stays open, in a thread of its own, until the event is set or the end."""
    is_recorded, may_commit = threading.Event(), threading.Event()

    def work() -> None:
        try:
            with transaction.atomic():
                audit.record("thing.happened", number=0)
                is_recorded.set()
                may_commit.wait(timeout=30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert is_recorded.wait(timeout=20)
        yield may_commit
    finally:
        may_commit.set()
        thread.join(timeout=20)


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_writer_in_an_open_transaction_blocks_neither_writers_nor_the_sealer() -> None:
    with open_transaction():
        record_events(3)
        assert audit.seal() == 3
    assert audit.seal() == 1


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_sealed_later_than_its_id_says() -> None:
    with open_transaction():
        record_sealed(2)
    assert audit.seal() == 1
    assert get_numbers() == [1, 2, 0]
    assert AuditEvent.objects.order_by("pk").values_list("position", flat=True)[0] == 3
    assert find_fault() is None


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_second_sealer_returns_at_once_while_one_works() -> None:
    record_events(1)
    with transaction.atomic():
        assert audit.seal() == 1
        assert race(audit.seal, threads=1) == [0]


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_sealer_at_work_blocks_no_writer() -> None:
    record_events(1)
    with transaction.atomic():
        audit.seal()
        race(lambda: record_events(1), threads=2)
    assert AuditEvent.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_events_of_many_writers_are_each_sealed_once_while_two_sealers_run() -> None:
    is_done = threading.Event()

    def keep_sealing() -> None:
        try:
            while not is_done.is_set():
                audit.seal()
                is_done.wait(0.01)
        finally:
            connections.close_all()

    sealers = [threading.Thread(target=keep_sealing) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    try:
        race(lambda: record_events(25), threads=8)
        wait_until(lambda: not AuditEvent.objects.filter(position=None).exists())
    finally:
        is_done.set()
        for sealer in sealers:
            sealer.join(timeout=20)
    positions = list(AuditEvent.objects.order_by("position").values_list("position", flat=True))
    assert positions == list(range(1, 201))
    assert sorted(get_numbers()) == sorted([*range(1, 26)] * 8)
    assert find_fault() is None


@needs_postgresql
@pytest.mark.django_db
def test_an_idle_sealer_reads_an_index_of_the_unsealed_alone() -> None:
    record_sealed(200)
    with connection.cursor() as cursor:
        # The planner is to know this table, and not what it was when the statistics were last made by the server.
        cursor.execute("ANALYZE permissions_auditevent")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {AuditEvent.objects.filter(position=None).order_by('pk').query}")
        plan = " ".join(row[0] for row in cursor.fetchall())
    # The one of unsealed events alone, or that of positions where it has none: both hold no sealed one.
    assert "permissions_audit_unsealed" in plan or 'Index Cond: ("position" IS NULL)' in plan

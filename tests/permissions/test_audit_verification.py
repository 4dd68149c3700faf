"""What is done to the audit log behind the house's back is found."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from permissions import audit
from permissions.models import AuditEvent, AuditHead
from tests.permissions.auditing import execute, find_fault, record_events, record_sealed

pytestmark = pytest.mark.django_db

#: What somebody might write into each column of a sealed event.
TAMPERINGS: dict[str, str | int] = {
    "id": 1_000_000,
    "created_at": "2020-01-01 00:00:00+00:00",
    "event": "other.thing",
    "actor_id": "7",
    "actor_label": "somebody else",
    "subject_type": "accounts.user",
    "subject_id": "7",
    "subject_label": "somebody else",
    "client_id": "other-client",
    "ip_address": "203.0.113.9",
    "request_id": "another-one",
    "data": '{"number": 7}',
    "signature": "0" * 80,
    "position": 99,
    "previous_hash": "0" * 64,
    "hash": "0" * 64,
}


@pytest.fixture
def five() -> None:
    """A log of five sealed events."""
    record_sealed(5)


def test_an_empty_log_is_sound() -> None:
    found = audit.verify()
    assert (found.fault, found.sealed_count, found.unsealed_count) == (None, 0, 0)


def test_an_untouched_log_is_sound(five: None) -> None:
    found = audit.verify()
    assert (found.fault, found.sealed_count, found.unsealed_count) == (None, 5, 0)
    assert (found.head_position, found.head_hash) == (5, AuditHead.objects.get().hash)


def test_what_is_not_sealed_yet_is_counted(five: None) -> None:
    record_events(2)
    found = audit.verify()
    assert (found.fault, found.sealed_count, found.unsealed_count) == (None, 5, 2)
    assert found.oldest_unsealed_at == AuditEvent.objects.get(data__number=1, position=None).created_at


def test_every_column_is_tampered_with_below() -> None:
    assert {field.column for field in AuditEvent._meta.concrete_fields} == set(TAMPERINGS)


@pytest.mark.parametrize("position", [1, 3, 5], ids=["first", "middle", "last"])
@pytest.mark.parametrize("column", TAMPERINGS)
def test_an_event_that_was_edited_is_found_whatever_the_column(five: None, column: str, position: int) -> None:
    update = f"UPDATE {{event}} SET {column} = %s WHERE position = %s"  # noqa: S608 - names of ours
    execute(update, TAMPERINGS[column], position)
    fault = audit.verify().fault
    assert fault is not None
    if column == "position":
        assert (fault.kind, fault.position) == ("reordered" if position < 5 else "truncated", position)
    else:
        assert (fault.kind, fault.position) == ("edited", position)


def test_a_moment_that_was_changed_by_a_microsecond_is_found(five: None) -> None:
    event = AuditEvent.objects.get(position=2)
    moved = event.created_at.replace(microsecond=event.created_at.microsecond + 1)
    execute("UPDATE {event} SET created_at = %s WHERE position = 2", str(moved))
    assert find_fault() == ("edited", 2)


@pytest.mark.parametrize("position", [1, 3])
def test_an_event_that_was_deleted_is_found(five: None, position: int) -> None:
    execute("DELETE FROM {event} WHERE position = %s", position)
    assert find_fault() == ("deleted", position)


def test_an_event_that_was_deleted_is_found_also_where_the_gap_was_closed(five: None) -> None:
    execute("DELETE FROM {event} WHERE position = 3")
    for position in (4, 5):
        execute("UPDATE {event} SET position = %s WHERE position = %s", position - 1, position)
    assert find_fault() == ("deleted", 3)


@pytest.mark.parametrize("kept", [0, 3, 4])
def test_a_tail_that_was_cut_off_is_found(five: None, kept: int) -> None:
    execute("DELETE FROM {event} WHERE position > %s", kept)
    assert find_fault() == ("truncated", kept + 1)


def test_a_tail_that_was_cut_off_is_found_also_where_the_head_was_changed_to_match(five: None) -> None:
    execute("DELETE FROM {event} WHERE position > 3")
    execute("UPDATE {head} SET position = 3, hash = %s", AuditEvent.objects.get(position=3).hash)
    assert find_fault() == ("forged", 3)


def test_a_tail_that_was_cut_off_is_found_also_after_the_sealer_went_on(five: None) -> None:
    execute("DELETE FROM {event} WHERE position > 3")
    record_sealed(2)
    assert find_fault() == ("deleted", 4)


def test_a_head_that_was_forged_is_found_also_after_the_sealer_went_on(five: None) -> None:
    execute("DELETE FROM {event} WHERE position > 3")
    execute("UPDATE {head} SET position = 3, hash = %s", AuditEvent.objects.get(position=3).hash)
    record_sealed(2)
    assert find_fault() == ("truncated", 4)


def test_a_head_that_was_deleted_is_found(five: None) -> None:
    execute("DELETE FROM {head}")
    assert find_fault() == ("truncated", 6)


def test_a_head_that_was_deleted_is_found_also_after_the_sealer_went_on(five: None) -> None:
    execute("DELETE FROM {head}")
    record_sealed(1)
    assert find_fault() == ("truncated", 6)


def test_a_log_that_was_emptied_is_found(five: None) -> None:
    execute("DELETE FROM {event}")
    assert find_fault() == ("truncated", 1)


def test_two_events_that_changed_places_are_found(five: None) -> None:
    execute("UPDATE {event} SET position = -1 WHERE position = 2")
    execute("UPDATE {event} SET position = 2 WHERE position = 4")
    execute("UPDATE {event} SET position = 4 WHERE position = -1")
    assert find_fault() == ("reordered", 2)


def test_two_events_whose_contents_changed_places_are_found(five: None) -> None:
    second, fourth = AuditEvent.objects.filter(position__in=(2, 4)).order_by("position")
    execute("UPDATE {event} SET signature = 'x' WHERE position = 2")
    execute("UPDATE {event} SET data = %s, signature = %s WHERE position = 4", '{"number": 2}', second.signature)
    execute("UPDATE {event} SET data = %s, signature = %s WHERE position = 2", '{"number": 4}', fourth.signature)
    assert find_fault() == ("edited", 2)


def copy_event(position: int, /, **changed: str | int | None) -> None:
    """Copy an event by SQL."""
    values = [name for name in TAMPERINGS if name != "id"]
    columns = ", ".join(values)
    chosen = ", ".join("%s" if name in changed else name for name in values)
    given = [changed[name] for name in values if name in changed]
    insert = f"INSERT INTO {{event}} ({columns}) SELECT {chosen} FROM {{event}} WHERE position = %s"  # noqa: S608 - names of ours
    execute(insert, *given, position)


def test_an_event_that_was_put_behind_the_last_one_is_found(five: None) -> None:
    last = AuditEvent.objects.get(position=5)
    copy_event(5, position=6, previous_hash=last.hash, hash="0" * 64, signature="0" * 80, event="other.thing")
    assert find_fault() == ("forged", 6)


def test_an_event_that_was_put_between_two_others_is_found(five: None) -> None:
    for position in (5, 4, 3):
        execute("UPDATE {event} SET position = %s WHERE position = %s", position + 1, position)
    before = AuditEvent.objects.get(position=2)
    copy_event(2, position=3, previous_hash=before.hash, hash="0" * 64, signature="0" * 80, event="other.thing")
    assert find_fault() == ("forged", 3)


@pytest.mark.parametrize("position", [0, -1])
def test_an_event_that_was_put_before_the_first_one_is_found(five: None, position: int) -> None:
    copy_event(1, position=position, signature="0" * 80)
    assert find_fault() == ("forged", position)


def test_an_event_that_was_slipped_in_for_the_sealer_is_found_before_and_after_sealing(five: None) -> None:
    copy_event(5, position=None, previous_hash="", hash="", signature="0" * 80, event="other.thing")
    assert find_fault() == ("forged", None)
    audit.seal()
    assert find_fault() == ("forged", 6)


def test_an_event_cannot_be_copied_with_its_signature(five: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_event(5, position=None, previous_hash="", hash="")


def test_an_event_that_was_taken_out_of_the_chain_is_found_although_it_is_sealed_again(five: None) -> None:
    execute("UPDATE {event} SET position = NULL, hash = '', previous_hash = '' WHERE position = 2")
    audit.seal()
    assert find_fault() == ("deleted", 2)


def test_an_event_that_was_edited_before_it_was_sealed_is_found(five: None) -> None:
    record_events(1)
    execute("""UPDATE {event} SET data = '{{"number": 2}}' WHERE position IS NULL""")
    assert find_fault() == ("forged", None)


def test_damage_that_is_known_can_be_left_behind(five: None) -> None:
    execute("UPDATE {event} SET event = 'other.thing' WHERE position = 2")
    assert audit.verify(after=2).fault is None
    execute("UPDATE {event} SET event = 'other.thing' WHERE position = 4")
    fault = audit.verify(after=2).fault
    assert fault is not None
    assert fault.position == 4


@pytest.mark.parametrize("position", [1, 3, 5])
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM {event} WHERE position = %s",
        "UPDATE {event} SET hash = 'nonsense' WHERE position = %s",
        "UPDATE {event} SET previous_hash = 'nonsense' WHERE position = %s",
    ],
)
def test_the_log_is_walked_from_behind_any_damage(five: None, damage: str, position: int) -> None:
    execute(damage, position)
    found = audit.verify(after=position)
    assert (found.fault, found.sealed_count) == (None, 5 - position)
    assert (found.head_position, found.head_hash) == (5, AuditHead.objects.get().hash)


def test_of_several_events_that_are_gone_each_is_told(five: None) -> None:
    execute("DELETE FROM {event} WHERE position IN (2, 3)")
    fault = audit.verify(after=2).fault
    assert fault is not None
    assert (fault.kind, fault.position) == ("deleted", 3)
    assert audit.verify(after=3).fault is None


def test_there_is_nothing_behind_the_end_of_the_log(five: None) -> None:
    assert audit.verify(after=5).fault is None
    with pytest.raises(CommandError, match="The log ends at position 5"):
        call_command("audit_verify", "--after", "6")


def test_a_long_log_is_walked_in_pieces(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("permissions.audit.verification._CHUNK_SIZE", 4)
    record_sealed(10)
    record_events(5)
    with django_assert_max_num_queries(15):
        found = audit.verify()
    assert (found.fault, found.sealed_count, found.unsealed_count) == (None, 10, 5)
    execute("DELETE FROM {event} WHERE position = 9")
    assert find_fault() == ("deleted", 9)


def test_a_log_verifies_after_the_secret_changed(five: None, settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next secret, which is as long and as random as it takes"
    record_sealed(2)
    assert audit.verify().fault is None
    execute("UPDATE {event} SET event = 'other.thing' WHERE position = 4")
    assert find_fault() == ("edited", 4)


def test_what_another_secret_signed_is_not_believed(five: None, settings: Settings) -> None:
    settings.SECRET_KEY = "somebody else's secret, which is as long and as random"
    assert find_fault() == ("edited", 1)


def test_a_log_verifies_after_it_was_dumped_and_restored(five: None, tmp_path: Path) -> None:
    record_events(2)
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "permissions.auditevent", "permissions.audithead", output=str(dump), verbosity=0)
    execute("DELETE FROM {event}")
    execute("DELETE FROM {head}")
    call_command("loaddata", str(dump), stdout=StringIO())
    found = audit.verify()
    assert (found.fault, found.sealed_count, found.unsealed_count) == (None, 5, 2)

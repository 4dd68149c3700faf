import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from django.db import transaction
from joserfc.errors import UnsupportedKeyOperationError
from joserfc.jwk import ECKey
from pytest_django import Settings

from accounts import keys
from accounts.models import SigningKey
from tests.accounts.racing import race

type QueryCount = Callable[[int], AbstractContextManager[object]]


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def store_key() -> str:
    """Store a key as another process would, unknown to this one, and return its kid."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    kid = key.thumbprint()
    public_jwk = json.dumps(key.as_dict(private=False))
    SigningKey.objects.create(kid=kid, algorithm="ES256", public_jwk=public_jwk, private_jwk=b"", state="retiring")
    return kid


def invent_kid() -> str:
    return (uuid4().hex * 2)[:43]


@pytest.mark.django_db
def test_the_first_call_makes_the_active_key_and_later_ones_find_it() -> None:
    made = keys.get_active_key()
    assert keys.get_active_key().kid == made.kid
    assert SigningKey.objects.get().state == SigningKey.State.ACTIVE


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_there_is_remembered_within_a_transaction_too(django_assert_num_queries: QueryCount) -> None:
    keys.get_active_key()
    keys.forget_keys()
    with transaction.atomic():
        keys.get_active_key()
    with django_assert_num_queries(0):
        keys.get_active_key()


@pytest.mark.django_db(transaction=True)
def test_a_key_whose_transaction_failed_is_not_remembered() -> None:
    with transaction.atomic():
        kid = keys.get_active_key().kid
        assert keys.get_active_key().kid == kid
        transaction.set_rollback(True)
    assert keys.get_active_key().kid != kid
    assert SigningKey.objects.get().kid == keys.get_active_key().kid


@pytest.mark.django_db(transaction=True)
def test_processes_that_need_the_first_key_at_once_agree_on_one() -> None:
    assert len(set(race(lambda: keys.get_active_key().kid))) == 1
    assert SigningKey.objects.count() == 1


@pytest.mark.django_db
def test_a_key_that_only_verifies_signs_nothing() -> None:
    known = keys.get_public_key(keys.get_active_key().kid)
    assert known is not None
    with pytest.raises(UnsupportedKeyOperationError):
        known.sign({"sub": "anybody"})


@pytest.mark.django_db
def test_the_kid_is_the_thumbprint() -> None:
    row = SigningKey.objects.get(kid=keys.get_active_key().kid)
    assert ECKey.import_key(json.loads(row.public_jwk)).thumbprint() == row.kid


@pytest.mark.django_db
def test_the_private_key_is_stored_encrypted_only() -> None:
    active = keys.get_active_key()
    row = SigningKey.objects.get()
    secret = str(active.key.as_dict(private=True)["d"])
    assert secret.encode() not in bytes(row.private_jwk)
    assert secret not in row.public_jwk
    assert '"d"' not in row.public_jwk


@pytest.mark.django_db
def test_an_encrypted_key_cannot_be_moved_to_another_kid() -> None:
    keys.get_active_key()
    row = SigningKey.objects.get()
    row.kid = invent_kid()
    assert keys.KeyRing().get_private_key(row) is None


@pytest.mark.django_db
def test_a_key_stays_usable_while_the_secret_key_changes(settings: Settings) -> None:
    kid = keys.get_active_key().kid
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret" * 5
    key = keys.KeyRing().get_private_key(SigningKey.objects.get())
    assert key is not None
    assert key.key.thumbprint() == kid


@pytest.mark.django_db
def test_a_key_that_no_secret_opens_retires_and_a_new_one_takes_over() -> None:
    lost = store_key()
    SigningKey.objects.update(state="active", private_jwk=b"x" * 40)
    assert keys.get_active_key().kid != lost
    assert SigningKey.objects.get(kid=lost).state == SigningKey.State.RETIRING
    assert keys.get_public_key(lost) is not None


@pytest.mark.django_db
def test_a_known_key_costs_no_query(django_assert_num_queries: QueryCount) -> None:
    kid, ring = store_key(), keys.KeyRing()
    ring.get_public_key(kid)
    with django_assert_num_queries(0):
        assert ring.get_public_key(kid) is not None


@pytest.mark.django_db
def test_a_key_that_another_process_made_is_found_with_one_query(django_assert_num_queries: QueryCount) -> None:
    kid = store_key()
    with django_assert_num_queries(1):
        found = keys.KeyRing().get_public_key(kid)
    assert found is not None
    assert not found.key.is_private


@pytest.mark.django_db
def test_a_flood_of_invented_kids_is_no_flood_of_queries(django_assert_num_queries: QueryCount) -> None:
    ring = keys.KeyRing(clock=Clock(), reads_per_second=3)
    with django_assert_num_queries(3):
        assert {ring.get_public_key(invent_kid()) for _ in range(50)} == {None}


@pytest.mark.django_db
def test_a_new_key_is_found_after_a_flood() -> None:
    clock = Clock()
    ring = keys.KeyRing(clock=clock, reads_per_second=3)
    for _ in range(50):
        ring.get_public_key(invent_kid())
    kid = store_key()
    clock.now += 1
    assert ring.get_public_key(kid) is not None


@pytest.mark.django_db
def test_a_deleted_key_stops_verifying_when_its_time_in_the_cache_is_over() -> None:
    clock, kid = Clock(), store_key()
    ring = keys.KeyRing(clock=clock, max_age=300)
    ring.get_public_key(kid)
    SigningKey.objects.all().delete()
    clock.now += 299
    assert ring.get_public_key(kid) is not None
    clock.now += 2
    assert ring.get_public_key(kid) is None


@pytest.mark.django_db
def test_no_number_of_other_keys_pushes_one_out(django_assert_num_queries: QueryCount) -> None:
    withdrawn, *living = [store_key() for _ in range(80)]
    gone = [store_key() for _ in range(80)]
    SigningKey.objects.filter(kid__in=[withdrawn, *gone]).update(state="withdrawn")
    ring = keys.KeyRing()
    with django_assert_num_queries(2):
        assert all(ring.get_public_key(kid) for kid in living)
        assert (hint_key := ring.get_public_key(withdrawn)) is not None
    assert hint_key.is_withdrawn


@pytest.mark.django_db
def test_a_key_stays_the_same_one_until_it_changes() -> None:
    clock, kid = Clock(), store_key()
    ring = keys.KeyRing(clock=clock)
    known = ring.get_public_key(kid)
    assert known is not None
    ring.get_public_key(invent_kid())
    assert ring.get_public_key(kid) is known
    clock.now += 61
    assert ring.get_public_key(kid) is known
    SigningKey.objects.update(state="withdrawn")
    clock.now += 61
    changed = ring.get_public_key(kid)
    assert changed is not None
    assert changed.is_withdrawn


@pytest.mark.django_db
@pytest.mark.parametrize(
    "kid", ["", "../../etc/passwd", "' OR 1=1 --", "https://evil.example/jwks", "a" * 44, "é" * 43]
)
def test_what_cannot_be_a_kid_is_not_looked_up(kid: str, django_assert_num_queries: QueryCount) -> None:
    with django_assert_num_queries(0):
        assert keys.get_public_key(kid) is None

import base64
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from pytest_django import Settings

from accounts import keys, services
from accounts.conf import AlgorithmName, get_settings
from accounts.exceptions import InvalidToken
from accounts.models import SigningKey
from accounts.services import KeyRotation
from accounts.tokens import issue_access_token, read_access_token
from permissions.models.audit import AuditEvent
from tests.accounts.conftest import NOW
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db

type QueryCount = Callable[[int], AbstractContextManager[object]]

PUBLISH = timedelta(days=1)
ACCESS_ALGORITHMS: list[AlgorithmName] = ["ES256", "Ed25519", "RS256"]


def issue() -> str:
    return issue_access_token(
        subject=str(uuid4()), client_id="gatehouse", now=NOW, lifetime=get_settings().access_token_lifetime
    )


def is_good(raw: str) -> bool:
    try:
        read_access_token(raw, now=NOW)
    except InvalidToken:
        return False
    return True


def rotate_keys(*, is_forced: bool = False, is_compromised: bool = False, now: datetime) -> KeyRotation:
    """Rotate the keys of the only algorithm that has any."""
    (done,) = services.rotate_keys(now=now, is_forced=is_forced, is_compromised=is_compromised)
    return done


def maintain_keys(*, now: datetime) -> KeyRotation:
    """Do what is due with the keys of the only algorithm that has any."""
    (done,) = services.maintain_keys(now=now)
    return done


def get_states() -> dict[str, str]:
    return dict(SigningKey.objects.values_list("kid", "state"))


def start() -> str:
    """Make the first key, published long ago, and return its kid."""
    kid = keys.get_active_key().kid
    SigningKey.objects.update(created_at=NOW, activated_at=NOW)
    return kid


def publish() -> str:
    """Publish the next key at noon and return its kid."""
    (kid,) = rotate_keys(now=NOW).published
    return kid


def test_a_rotation_publishes_the_next_key_first() -> None:
    first = start()
    done = rotate_keys(now=NOW)
    (published,) = done.published
    assert get_states() == {first: "active", published: "next"}
    assert done.next_at is not None
    assert keys.get_active_key().kid == first


def test_the_key_set_shows_what_will_sign_what_signs_and_what_still_verifies(settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"ID_TOKEN_ALGORITHMS": ("ES256",)}
    first, second = start(), publish()
    rotate_keys(now=NOW + PUBLISH)
    third = rotate_keys(now=NOW + PUBLISH).published[0]
    shown = keys.list_public_keys()
    assert {one["kid"] for one in shown} == {first, second, third}
    assert all(one["use"] == "sig" and one["alg"] == "ES256" and "d" not in one for one in shown)


def test_the_key_set_has_a_key_of_each_algorithm_though_nothing_was_signed(rs256: SigningKey) -> None:
    shown = keys.list_public_keys()
    assert sorted(str(one["alg"]) for one in shown) == ["ES256", "EdDSA", "RS256"]
    assert {one["kty"] for one in shown if one["alg"] == "EdDSA"} == {"OKP"}
    assert {one["kid"] for one in keys.list_public_keys()} == {one["kid"] for one in shown}


def test_a_key_that_was_published_for_too_short_a_time_does_not_sign() -> None:
    first, second = start(), publish()
    done = rotate_keys(now=NOW + PUBLISH - timedelta(seconds=1))
    assert (done.published, done.activated) == ([], [])
    assert done.next_at == NOW + PUBLISH
    assert get_states() == {first: "active", second: "next"}


def test_the_next_key_takes_over_and_tokens_of_the_one_before_stay_good() -> None:
    first, second = start(), publish()
    old = issue()
    done = rotate_keys(now=NOW + PUBLISH)
    assert (done.activated, done.retired) == ([second], [first])
    assert keys.get_active_key().kid == second
    assert is_good(old)
    assert is_good(issue())


def test_a_retired_key_is_withdrawn_when_its_last_token_has_expired() -> None:
    first, old = start(), issue()
    publish()
    rotate_keys(now=NOW + PUBLISH)
    margin = get_settings().access_token_lifetime + timedelta(seconds=2 * keys.ACTIVE_SECONDS)
    assert rotate_keys(now=NOW + PUBLISH + margin - timedelta(seconds=1)).withdrawn == []
    assert rotate_keys(now=NOW + PUBLISH + margin).withdrawn == [first]
    assert get_states()[first] == "withdrawn"
    assert not is_good(old)
    assert first not in {one["kid"] for one in keys.list_public_keys()}
    assert bytes(SigningKey.objects.get(kid=first).private_jwk) == b""


@pytest.mark.parametrize(("hint_seconds", "kept"), [(14 * 24 * 3600, timedelta(days=14)), (0, timedelta(seconds=660))])
def test_a_key_that_no_hint_can_need_any_more_is_deleted(
    hint_seconds: int, kept: timedelta, settings: Settings
) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"ID_TOKEN_HINT_SECONDS": hint_seconds}
    first = start()
    rotate_keys(now=NOW, is_forced=True)
    maintain_keys(now=NOW + kept - timedelta(seconds=1))
    assert first in get_states()
    assert maintain_keys(now=NOW + kept).deleted == [first]
    assert first not in get_states()


def test_a_forced_rotation_waits_for_nothing() -> None:
    first = start()
    done = rotate_keys(now=NOW, is_forced=True)
    assert done.retired == [first]
    assert keys.get_active_key().kid == done.activated[0]


def test_what_a_compromised_key_has_signed_is_dead() -> None:
    first, old = start(), issue()
    done = rotate_keys(now=NOW, is_compromised=True)
    assert done.deleted == [first]
    assert not is_good(old)
    assert is_good(issue())
    assert keys.get_active_key().kid == done.activated[0]


def test_a_compromised_key_gives_way_to_the_one_that_is_published() -> None:
    first, second = start(), publish()
    done = rotate_keys(now=NOW, is_compromised=True)
    assert (done.deleted, done.activated, done.published) == ([first], [second], [])


def test_a_stolen_key_that_has_given_way_already_is_dead_too() -> None:
    withdrawn = start()
    rotate_keys(now=NOW - PUBLISH, is_forced=True)
    retiring, old = keys.get_active_key().kid, issue()
    rotate_keys(now=NOW, is_forced=True)
    active = keys.get_active_key().kid
    assert get_states() == {withdrawn: "withdrawn", retiring: "retiring", active: "active"}
    of_another = keys.get_active_key("EdDSA").kid
    (done,) = (
        one for one in services.rotate_keys(now=NOW, is_compromised=True, algorithm="ES256") if one.algorithm == "ES256"
    )
    assert sorted(done.deleted) == sorted([withdrawn, retiring, active])
    assert not is_good(old)
    assert all(keys.get_hint_key(kid) is None for kid in done.deleted)
    assert keys.get_public_key(of_another) is not None


@pytest.mark.parametrize("algorithm", ACCESS_ALGORITHMS)
@pytest.mark.compliance("RFC 9864", "2.2", "EdDSA over Curve25519 is called Ed25519")
def test_tokens_can_be_signed_with_each_algorithm(algorithm: AlgorithmName, settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"SIGNING_ALGORITHM": algorithm}
    assert keys.get_active_key().algorithm == algorithm
    assert is_good(issue())


@pytest.mark.parametrize("algorithm", ACCESS_ALGORITHMS)
def test_the_same_claims_make_the_same_token(algorithm: AlgorithmName, settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"SIGNING_ALGORITHM": algorithm}
    subject, jti = str(uuid4()), uuid4()
    made = {
        issue_access_token(subject=subject, client_id="c", now=NOW, lifetime=timedelta(minutes=5), jti=jti)
        for _ in range(3)
    }
    assert len(made) == 1


@pytest.mark.compliance("ASVS 5.0", "9.1.2", "A token verifies under the algorithm of its key alone")
def test_a_token_that_names_another_algorithm_than_that_of_its_key_is_refused(settings: Settings) -> None:
    es256 = start()
    settings.ACCOUNTS = settings.ACCOUNTS | {"SIGNING_ALGORITHM": "Ed25519"}
    _, payload, signature = issue().split(".")
    header = json.dumps({"alg": "Ed25519", "typ": "at+jwt", "kid": es256}).encode()
    assert not is_good(f"{keys_text(header)}.{payload}.{signature}")


def keys_text(raw: bytes) -> str:

    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_tokens_of_the_algorithm_before_stay_good_after_a_change_of_the_setting(settings: Settings) -> None:
    first, second, old = start(), publish(), issue()
    settings.ACCOUNTS = settings.ACCOUNTS | {"SIGNING_ALGORITHM": "Ed25519", "ID_TOKEN_ALGORITHMS": ("RS256",)}
    assert is_good(issue())
    done = {one.algorithm: one for one in services.maintain_keys(now=NOW)}
    assert (done["ES256"].retired, done["ES256"].deleted) == ([first], [second])
    assert get_states()[first] == "retiring"
    assert second not in get_states()
    assert is_good(old)


def test_a_key_of_id_tokens_goes_on_after_a_change_of_the_setting_for_access_tokens(settings: Settings) -> None:
    first = start()
    settings.ACCOUNTS = settings.ACCOUNTS | {"SIGNING_ALGORITHM": "Ed25519"}
    services.maintain_keys(now=NOW)
    assert get_states() == {first: "active"}


def test_each_algorithm_rotates_by_itself(rs256: SigningKey) -> None:
    first = start()
    eddsa = keys.get_active_key("EdDSA").kid
    done = {one.algorithm: one for one in services.rotate_keys(now=NOW, is_forced=True)}
    assert {name: one.retired for name, one in done.items()} == {
        "ES256": [first],
        "EdDSA": [eddsa],
        "RS256": [rs256.kid],
    }
    assert {name: [keys.get_active_key(one.algorithm).kid] for name, one in done.items()} == {
        name: one.activated for name, one in done.items()
    }


def test_one_algorithm_can_be_rotated_alone() -> None:
    first = start()
    eddsa = keys.get_active_key("EdDSA").kid
    services.rotate_keys(now=NOW, is_forced=True, algorithm="EdDSA")
    assert keys.get_active_key().kid == first
    assert keys.get_active_key("EdDSA").kid != eddsa


def test_no_key_is_made_before_its_algorithm_is_needed() -> None:
    start()
    services.rotate_keys(now=NOW, is_forced=True)
    services.maintain_keys(now=NOW + timedelta(days=90))
    assert set(SigningKey.objects.values_list("algorithm", flat=True)) == {"ES256"}


def test_simultaneous_rotations_take_one_step(transactional_db: None) -> None:
    start()
    rotations = race(lambda: maintain_keys(now=NOW + timedelta(days=90)), threads=8)
    assert sum(len(done.published) for done in rotations) == 1
    rotations = race(lambda: maintain_keys(now=NOW + timedelta(days=90) + PUBLISH), threads=8)
    assert sum(len(done.activated) for done in rotations) == 1
    assert sorted(get_states().values()) == ["active", "retiring"]


def test_nothing_is_done_before_it_is_time() -> None:
    first = start()
    maintain_keys(now=NOW + timedelta(days=89))
    assert get_states() == {first: "active"}


def test_an_old_key_gives_way_in_two_steps_by_itself() -> None:
    first, due = start(), NOW + timedelta(days=90)
    (second,) = maintain_keys(now=due).published
    assert maintain_keys(now=due + PUBLISH - timedelta(seconds=1)) == KeyRotation(algorithm="ES256")
    switched = maintain_keys(now=due + PUBLISH)
    assert (switched.retired, switched.activated) == ([first], [second])
    assert maintain_keys(now=due + PUBLISH + timedelta(hours=1)).withdrawn == [first]
    assert maintain_keys(now=due + PUBLISH + timedelta(hours=2)) == KeyRotation(algorithm="ES256")


def test_a_process_remembers_the_key_that_signs_and_follows_a_rotation(
    transactional_db: None, django_assert_num_queries: QueryCount
) -> None:
    issue()
    with django_assert_num_queries(0):
        old = issue()
    rotate_keys(now=NOW, is_forced=True)
    assert is_good(old)
    assert keys.get_active_key().kid != json.loads(keys_head(old))["kid"]


def keys_head(raw: str) -> bytes:

    return base64.urlsafe_b64decode(raw.split(".", maxsplit=1)[0] + "==")


def test_a_rotation_is_recorded_without_key_material() -> None:
    start()
    rotate_keys(now=NOW, is_forced=True)
    event = AuditEvent.objects.get(event="signing_keys.rotated")
    assert set(event.data) == {
        *("algorithm", "published", "activated", "retired", "withdrawn", "deleted", "is_compromised")
    }


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_did_and_what_comes_next() -> None:
    start()
    words = run()
    assert words.startswith("ES256:\n  Published, not yet signing: ")
    assert "run this command again then" in words
    assert "ES256:\n  Signs from now on: " in run("--now")
    assert "ES256" not in run("--now", "--algorithm", "EdDSA").partition("ES256: nothing to do.")[0]


def test_the_command_speaks_json() -> None:
    first = start()
    (done,) = json.loads(run("--compromised", "--json"))["rotations"]
    assert done["deleted"] == [first]
    assert set(done) == set(KeyRotation.__slots__)

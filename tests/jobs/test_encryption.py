"""Values sealed for a record."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from jobs.encryption import SEALED, is_sealed, seal, unseal
from jobs.exceptions import PayloadError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_was_sealed_opens_to_what_it_was(value: object) -> None:
    assert unseal(json.loads(json.dumps(seal(value, about="a"))), about="a") == value


def test_a_sealed_value_shows_nothing_of_it_and_is_another_each_time() -> None:
    first, second = seal("hunter2", about="a"), seal("hunter2", about="a")
    assert first != second
    assert "hunter2" not in str(first)
    assert b"hunter2" not in urlsafe_b64decode(first[SEALED].partition(".")[2])


def test_a_value_sealed_for_one_thing_opens_for_nothing_else() -> None:
    with pytest.raises(PayloadError, match="belongs elsewhere"):
        unseal(seal("x", about="a"), about="b")


def test_every_changed_bit_is_noticed() -> None:
    key_id, _, body = seal("x", about="a")[SEALED].partition(".")
    data = urlsafe_b64decode(body)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PayloadError, match="was changed"):
            unseal({SEALED: f"{key_id}.{urlsafe_b64encode(changed).decode()}"}, about="a")


@pytest.mark.parametrize(
    "text", ["", ".", "nothing", "KEY.", "KEY.AAAA", "KEY.ä", "KEY.\ud800", "KEY.AAAAAAAAAAAAAAAA"]
)
def test_garbage_is_refused(text: str) -> None:
    key_id = seal("x", about="a")[SEALED].partition(".")[0]
    with pytest.raises(PayloadError, match="sealed value"):
        unseal({SEALED: text.replace("KEY", key_id)}, about="a")


@pytest.mark.parametrize("value", [None, "x", {}, {SEALED: 1}, {SEALED: "x", "y": 1}, [SEALED]])
def test_what_was_never_sealed_is_told_apart(value: object) -> None:
    assert not is_sealed(value)
    with pytest.raises(PayloadError, match="is none"):
        unseal(value, about="a")


def test_an_older_value_opens_while_its_secret_is_a_fallback_and_new_ones_take_the_new_key(settings: Settings) -> None:
    old = seal("x", about="a")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]
    assert unseal(old, about="a") == "x"
    new = seal("x", about="a")
    assert new[SEALED].partition(".")[0] != old[SEALED].partition(".")[0]
    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(new, about="a") == "x"
    with pytest.raises(PayloadError, match="key that is gone"):
        unseal(old, about="a")


def test_the_key_id_tells_nothing_of_the_secret_itself(settings: Settings) -> None:
    settings.SECRET_KEY = "s3cret" * 10
    assert settings.SECRET_KEY[:8] not in str(seal("x", about="a"))

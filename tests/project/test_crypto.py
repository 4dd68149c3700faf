"""Keys derived from the one secret."""

from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from project.crypto import derive_key, keyed_digest, keyed_digests


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert derive_key("one") != derive_key("two")


def test_a_digest_under_an_earlier_secret_is_still_found(settings: Settings) -> None:
    settings.SECRET_KEY = "the first secret"
    stored = keyed_digest("tokens", "abc")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second secret", ["the first secret"]
    assert keyed_digest("tokens", "abc") != stored
    assert stored in keyed_digests("tokens", "abc")


@given(st.text())
def test_a_digest_never_shows_its_value(value: str) -> None:
    digest = keyed_digest("tokens", value)
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")

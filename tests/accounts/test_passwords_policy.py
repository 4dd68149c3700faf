"""Which passwords are accepted, and that what is refused is told why."""

import re
import time
import unicodedata
from contextlib import suppress

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.passwords import Argon2idHasher, ContextWordsValidator, get_minimum_length

ADA = User(email="ada.lovelace@analytical.example", name="Ada King Noël")
ENDLESS = "correct horse battery " * 45_000  # just below the limit of a body
ARGON2 = ["accounts.passwords.Argon2idHasher"]


def codes_of(password: str, user: User | None = ADA) -> set[str]:
    """Return why the house refuses the password; each reason must be a sentence."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        refusal = error
    else:
        return set()
    assert all(message.endswith(".") for message in refusal.messages)
    return {str(reason.code) for reason in refusal.error_list}


@pytest.mark.compliance("ASVS 5.0", "6.2.1", "passwords have at least 15 characters")
@pytest.mark.compliance("Security", "AC05", "a short password is refused")
def test_14_characters_are_too_few_and_15_enough() -> None:
    assert codes_of("bqxwzkvjpfmhgd") == {"password_too_short"}
    assert codes_of("bqxwzkvjpfmhgdt") == set()


def test_characters_count_by_code_point() -> None:
    assert codes_of("猫が屋根の上で月を見ている夜だ") == set()
    assert codes_of("🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤") == {"password_too_short"}


def test_the_least_length_is_a_setting(settings: Settings) -> None:
    settings.ACCOUNTS = {**settings.ACCOUNTS, "PASSWORD_MINIMUM_LENGTH": 20}
    assert get_minimum_length(ADA) == 20
    assert codes_of("bqxwzkvjpfmhgdtrlcn") == {"password_too_short"}


@pytest.mark.compliance("ASVS 5.0", "6.2.9", "passwords may have at least 64 characters")
@pytest.mark.compliance("Security", "AC05", "a long password is taken in full")
def test_256_characters_are_accepted_and_257_are_not() -> None:
    assert codes_of("ä€🦊x" * 64) == set()
    assert codes_of("ä€🦊x" * 64 + "y") == {"password_too_long"}


@pytest.mark.compliance("ASVS 5.0", "6.2.5", "no kind of character is asked for")
@pytest.mark.parametrize(
    "password",
    ["bqxwzkvjpfmhgdt", "BQXWZKVJPFMHGDT", "749302815564720", "?!.,-_;:#+*~&%$/", "     two  spaces     "],
    ids=["lower", "upper", "digits", "punctuation", "spaces"],
)
def test_any_kind_of_character_alone_will_do(password: str) -> None:
    assert codes_of(password) == set()


@pytest.mark.compliance("ASVS 5.0", "6.2.8", "passwords are checked as they were sent, without a change")
@pytest.mark.compliance("Security", "AC05", "case, spaces and form of writing count")
@pytest.mark.parametrize(
    "other",
    [
        "Über den Wolken 17",
        " über den Wolken 17",
        "über den Wolken 17 ",
        unicodedata.normalize("NFD", "über den Wolken 17"),
    ],
    ids=["case", "space before", "space behind", "other form of writing"],
)
def test_a_password_is_hashed_as_it_was_sent(settings: Settings, other: str) -> None:
    settings.PASSWORD_HASHERS = ARGON2
    encoded = make_password("über den Wolken 17")
    assert check_password("über den Wolken 17", encoded)
    assert not check_password(other, encoded)


@pytest.mark.compliance("ASVS 5.0", "6.2.8", "passwords are checked in full, nothing is cut off")
@pytest.mark.compliance("Security", "AC05", "the tail of a long password counts")
@pytest.mark.parametrize("length", [72, 73, 128, 256])
def test_each_byte_counts(settings: Settings, length: int) -> None:
    settings.PASSWORD_HASHERS = ARGON2
    encoded = make_password("b" * length)
    assert not check_password("b" * (length - 1) + "c", encoded)
    assert not check_password("b" * (length - 1), encoded)


@pytest.mark.compliance("Security", "AC05", "a NUL or a broken character is refused")
@pytest.mark.parametrize("char", ["\0", "\ud800"], ids=["NUL", "half of a pair"])
def test_what_is_no_text_is_refused(char: str) -> None:
    assert codes_of(f"bqxwzkv{char}jpfmhgdt") == {"password_not_text"}


@pytest.mark.parametrize("char", ["\0", "\ud800"], ids=["NUL", "half of a pair"])
def test_what_is_no_text_is_a_wrong_password_and_no_error(char: str) -> None:
    hasher = Argon2idHasher()
    encoded = hasher.encode("correct horse battery", hasher.salt())
    assert not hasher.verify(f"correct horse{char} battery", encoded)


@pytest.mark.django_db
@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800"], ids=["NUL", "half of a pair"])
@pytest.mark.parametrize("path", ["register", "login"])
def test_what_is_no_text_is_a_bad_request(api_client: APIClient, path: str, escape: str) -> None:
    body = f'{{"email": "ada@example.com", "password": "correct horse{escape} battery"}}'
    response = api_client.post(f"/api/v1/auth/{path}", body, content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.django_db
@pytest.mark.compliance("Security", "AC05", "a password of a megabyte is refused before it is worked on")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("register", {"email": "ada@example.com", "password": ENDLESS}),
        ("login", {"email": "ada@example.com", "password": ENDLESS}),
        ("password/reset/confirm", {"token": "x" * 43, "password": ENDLESS}),
    ],
    ids=["register", "login", "reset"],
)
def test_an_endless_password_costs_no_time(api_client: APIClient, path: str, body: dict[str, str]) -> None:
    started = time.process_time()
    response = api_client.post(f"/api/v1/auth/{path}", body)
    assert time.process_time() - started < 1
    assert [error["field"] for error in response.json()["errors"]] == ["password"]


@pytest.mark.compliance("Security", "AC05", "a password that is much like the address or the name is refused")
@pytest.mark.parametrize(
    "password", ["ada.lovelace@analytical.exampl", "ada.lovelace@analytical.examples", "Ada Kong Noëll 7 xx"]
)
def test_a_password_much_like_the_address_or_the_name_is_refused(password: str) -> None:
    assert "password_too_similar" in codes_of(password)


@pytest.mark.compliance("ASVS 5.0", "6.2.4", "passwords are held against the most common ones")
@pytest.mark.compliance("Security", "AC05", "a common password is refused")
def test_a_common_password_is_refused() -> None:
    assert "password_too_common" in codes_of("1qaz2wsx3edc4rfv")


@pytest.mark.compliance("ASVS 5.0", "6.2.11", "passwords are held against words of their context")
@pytest.mark.compliance("Security", "AC05", "a password of context words is refused")
@pytest.mark.parametrize(
    "password",
    [
        "gatehousegatehouse",
        "Gatehouse-2026-!!",
        "G a t e h o u s e 12345",
        "".join(chr(ord(char) + 0xFEE0) for char in "gatehouse") + " 2026 2026",
        "my gatehouse pass 2026",
        "acme-acme-acme-1234",
        "idportal.example 2026",
        "lovelace lovelace 7",
        "ada.lovelace@analytical.example",
        "analyticalanalytical",
        "KING ada king ada king",
        "noël noël noël noël",
        "noe\u0308l 1815 noe\u0308l 1815",
    ],
    ids=[
        "repeated", "with digits", "spelt", "wide", "with few letters", "organisation", "host", "address",
        "whole address", "domain", "name", "accent", "accent in two parts",
    ],
)  # fmt: skip
def test_little_more_than_context_words_is_refused(settings: Settings, password: str) -> None:
    settings.BASE_URL = "https://idportal.example"
    settings.ACCOUNTS = {**settings.ACCOUNTS, "CONTEXT_WORDS": ["gatehouse", "ACME Corp."]}
    assert "password_in_context" in codes_of(password)


@pytest.mark.compliance("ASVS 5.0", "6.1.2", "the documented context words are those that passwords are held against")
def test_the_documented_context_words_are_those_that_count(settings: Settings) -> None:
    settings.BASE_URL = "https://idportal.example"
    text = " ".join((settings.BASE_DIR / "docs" / "accounts.md").read_text().split())
    told = re.search(
        r"\*\*Context words\*\* are `PASSWORD_CONTEXT_WORDS` \((?P<words>(`\w+`(, )?)+) unless set otherwise[^)]*\), "
        r"the host of `BASE_URL`, and the user's address and name",
        text,
    )
    assert told
    words = re.findall(r"\w+", told["words"])
    assert words == [*settings.ACCOUNTS["CONTEXT_WORDS"]]
    for word in (*words, "idportal", "lovelace", "analytical", "noël"):
        assert codes_of(f"{word} {word} 2026 {word}") == {"password_in_context"}
        assert codes_of(f"{word[:-1]}x {word} purple clouds") == set()


@pytest.mark.parametrize(
    "password",
    ["gatehouse of purple clouds", "lovelace rows across rivers", "749302815564720"],
    ids=["product and words", "name and words", "no letters"],
)
def test_words_of_ones_own_make_up_for_context_words(password: str) -> None:
    assert codes_of(password) == set()


def test_short_parts_of_a_name_take_nothing_away() -> None:
    user = User(email="a.b@c.example", name="Al")
    assert codes_of("al al al al al al al", user) == set()


def test_there_may_be_no_user() -> None:
    assert codes_of("bqxwzkvjpfmhgdt", None) == set()
    assert codes_of("gatehousegatehouse", None) == {"password_in_context"}


@given(st.text(), st.text(), st.text())
def test_no_text_breaks_a_rule(password: str, name: str, email: str) -> None:
    with suppress(ValidationError):
        ContextWordsValidator().validate(password, User(email=email, name=name))


@given(st.text(alphabet="bcdfghjklmnpqrstvwxyz", min_size=8), st.text(alphabet="0123456789 .-!"))
def test_eight_letters_of_ones_own_are_enough(own: str, filler: str) -> None:
    ContextWordsValidator().validate(f"{filler}gatehouse{filler}{own}{filler}", None)

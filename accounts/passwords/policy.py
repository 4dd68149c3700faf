"""Which passwords are accepted, as far as the password and its user tell.

Passwords count as they are sent: nothing is trimmed, cut off, folded or normalised, and no kind of character is asked
for. Lengths are in code points (NIST SP 800-63B-4 §3.1.1.2).
"""

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.conf import get_password_settings

#: Letters that must be left of a password without its context words.
_LEAST_OWN_LETTERS = 8
#: Shorter words are parts of too many others.
_LEAST_WORD_LETTERS = 3


def get_minimum_length(user: object = None) -> int:
    """Return how many characters a password of this user needs at least.

    This is the place for ``PASSWORD_MINIMUM_LENGTH_WITH_SECOND_FACTOR``, once users can have a second factor.
    """
    return get_password_settings().minimum_length


class MinimumLengthValidator:
    """Refuse passwords that can be guessed because they are short."""

    def validate(self, password: str, user: object = None) -> None:
        """Check the length.

        Raises:
            ValidationError: The password is too short.
        """
        if len(password) < (least := get_minimum_length(user)):
            message = f"This password is too short. Use at least {least} characters; a few words make a good password."
            raise ValidationError(message, code="password_too_short")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return f"A password needs at least {get_minimum_length()} characters. Spaces and any other characters count."


class MaximumLengthValidator:
    """Refuse passwords that cost more to send than they add in strength."""

    def __init__(self, max_length: int = 256) -> None:
        """Take the longest accepted length, in characters."""
        self.max_length = max_length

    def validate(self, password: str, user: object = None) -> None:
        """Check the length.

        Raises:
            ValidationError: The password is too long.
        """
        if len(password) > self.max_length:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return f"A password can have at most {self.max_length} characters."


class PlainTextValidator:
    """Refuse what is no text: NUL, which many programs end a password at, and halves of surrogate pairs."""

    def validate(self, password: str, user: object = None) -> None:
        """Check the characters.

        Raises:
            ValidationError: One of them can't be part of a password.
        """
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in password):
            message = "This password has a character in it that is no text. Type it, or copy it once more."
            raise ValidationError(message, code="password_not_text")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return "A password is text of any language."


class ContextWordsValidator:
    """Refuse passwords that are little more than words which anybody would try here first (ASVS 6.2.11).

    The words: ``CONTEXT_WORDS``, the host of ``BASE_URL``, and what the user's address and name are made of. Case, form
    of writing, digits, spaces and punctuation are set aside; then the words are taken out of the password. If there
    were any, and fewer than 8 letters are left, it is refused.
    """

    def validate(self, password: str, user: object = None) -> None:
        """Take the context words out and look at what is left.

        Raises:
            ValidationError: Too little is left.
        """
        rest = letters = _letters(password)
        for word in sorted(_context_words(user), key=len, reverse=True):
            rest = rest.replace(word, " ")  # so that what stood apart doesn't form a word now
        if rest != letters and len(rest.replace(" ", "")) < _LEAST_OWN_LETTERS:
            message = (
                "This password is little more than your name, your address or the name of this service. "
                "Use words that have nothing to do with either."
            )
            raise ValidationError(message, code="password_in_context")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        return "A password can't be little more than your name, your e-mail address or the name of this service."


def _context_words(user: object) -> set[str]:
    """Return every word that counts, as bare letters."""
    words = {_letters(word) for phrase in _context_phrases(user) for word in (phrase, *re.split(r"[\W\d_]+", phrase))}
    return {word for word in words if len(word) >= _LEAST_WORD_LETTERS}


def _context_phrases(user: object) -> Iterator[str]:
    yield from get_password_settings().context_words
    yield urlsplit(settings.BASE_URL).hostname or ""
    yield str(getattr(user, "name", ""))
    address = str(getattr(user, "email", ""))
    yield from (address, *address.rsplit("@", 1))


def _letters(text: str) -> str:
    """Return what is neither digit, space, punctuation nor sign, in one case and form of writing."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in folded if _is_letter(char))


def _is_letter(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LM" or category == "So"  # emoji are words to those who use them

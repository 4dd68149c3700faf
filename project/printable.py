"""Text of strangers, made harmless: for a line of a terminal, of a log, of a mail, and for the tables."""

import re
import unicodedata
from typing import Final

from django.core.exceptions import ValidationError

#: What joins or parts two letters: Persian and Indian names and many emoji need them.
_JOINER: Final = re.compile(r"(?<=\S)[\u200c\u200d](?=\S)")


def to_printable(text: str) -> str:
    r"""Return a text with everything that isn't printable as Python writes it: ``\n``, ``\x1b``, ``\u202e``.

    So a name can't end its line, command a terminal, or turn the direction of what follows.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def validate_name(text: str) -> None:
    """Refuse what can't stand in a sentence as a name: it ends the line, turns what follows round, or isn't seen.

    Raises:
        ValidationError: It does.
    """
    # Of spaces Python calls only the common one printable, and Japanese names have a wide one.
    if not all(c.isprintable() or unicodedata.category(c) == "Zs" for c in _JOINER.sub("", text)):
        raise ValidationError("Use letters that can be seen: no line breaks, and no marks that turn the text round.")


def to_storable(text: str) -> str:
    r"""Return a text with what PostgreSQL or UTF-8 can't hold as Python writes it: ``\x00``, lone surrogates."""
    return text.replace("\0", r"\x00").encode(errors="backslashreplace").decode()

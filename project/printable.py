"""Text of strangers, made harmless: for a line of a terminal, of a log, of a mail, and for the tables."""


def to_printable(text: str) -> str:
    r"""Return a text with everything that isn't printable as Python writes it: ``\n``, ``\x1b``, ``\u202e``.

    So a name can't end its line, command a terminal, or turn the direction of what follows.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def to_storable(text: str) -> str:
    r"""Return a text with what PostgreSQL or UTF-8 can't hold as Python writes it: ``\x00``, lone surrogates."""
    return text.replace("\0", r"\x00").encode(errors="backslashreplace").decode()

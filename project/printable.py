"""Text of strangers, made harmless for a line of text: of a terminal, of a log, of a mail."""


def to_printable(text: str) -> str:
    r"""Return a text with everything that isn't printable as Python writes it: ``\n``, ``\x1b``, ``\u202e``.

    So a name can't end its line, command a terminal, or turn the direction of what follows.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

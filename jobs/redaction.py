"""Taking values out of texts, in whatever form a text quotes them. Pure text, no tables."""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final
from urllib.parse import quote, quote_plus
from uuid import UUID

REDACTED: Final = "[redacted]"
#: A shorter value could be a part of any word, so what a line says goes as a whole where it holds one.
_SHORT: Final = 4
#: The head of a line of a traceback that tells the class of an exception.
_HEAD: Final = re.compile(r"(?P<head>[\s|+-]*(?:\w+\.)*[A-Z]\w{4,}): ")
_FRAME: Final = re.compile(r'[\s|]*File ".*", line \d+')
#: What a traceback has under a frame: a line of code, and marks below it.
_CODE: Final = re.compile(r"[\s|]*[\s]{4}\S|[\s|]*[~^]+\s*$")


def redact(text: str, values: Iterable[object]) -> str:
    """Return a text, of an exception, a traceback or a log, without values and without whatever they hold inside."""
    forms = sorted({form for value in values for leaf in _leaves(value) for form in _forms(leaf)}, key=len)
    # The longest first: one value may hold another.
    for form in reversed(forms):
        if len(form) >= _SHORT:
            text = text.replace(form, REDACTED)
    short = [form for form in forms if len(form) < _SHORT]
    return _redact_lines(text, short) if short and any(form in text for form in short) else text


def _redact_lines(text: str, short: list[str]) -> str:
    """Take short values out of all lines but those of code, in which only whole words are replaced."""
    lines = []
    is_code = False
    for line in text.split("\n"):
        is_frame = _FRAME.match(line) is not None
        is_code = is_frame or (is_code and _CODE.match(line) is not None)
        lines.append(_redact_words(line, short) if is_code else _redact_saying(line, short))
    return "\n".join(lines)


def _redact_words(line: str, short: list[str]) -> str:
    for form in short:
        line = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", REDACTED, line)
    return line


def _redact_saying(line: str, short: list[str]) -> str:
    head = _HEAD.match(line)
    said = line[head.end() :] if head else line
    said = said.replace(REDACTED, "\0")
    if not any(form in said for form in short) or line == "Traceback (most recent call last):":
        return line
    return f"{head[0] if head else ''}{REDACTED}"


def _leaves(value: object) -> Iterator[object]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from (key, *_leaves(inner))
        case list() | tuple():
            for inner in value:
                yield from _leaves(inner)
        case None | "":
            return
        case bool():
            yield from (True, False)  # which of the two is missing would tell the other
        case _:
            yield value


def _forms(leaf: object) -> Iterator[str]:
    """Return how a value may stand in a text: as it is, and as ``repr``, JSON, HTML and URLs write it."""
    text = str(leaf)
    forms = {text, repr(leaf), _unquote(repr(text)), _unquote(ascii(text)), _unquote(json.dumps(text))}
    forms |= {_unquote(json.dumps(text, ensure_ascii=False)), html.escape(text), text.replace("'", "\\'")}
    forms.add(text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode())  # as it is stored
    if text.isprintable():
        forms |= {quote(text, safe=""), quote(text), quote_plus(text)}
    if isinstance(leaf, UUID):
        forms.add(leaf.hex)
    if isinstance(leaf, date):
        forms.add(leaf.isoformat())
    if isinstance(leaf, int | float | Decimal) and not isinstance(leaf, bool):
        forms.add(f"{leaf:,}")
    yield from (form for form in forms if form.strip())


def _unquote(text: str) -> str:
    return text[1:-1]

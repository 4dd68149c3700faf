"""Taking values out of texts, in whatever form a text quotes them. Pure text, no tables."""

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final
from urllib.parse import quote, quote_plus
from uuid import UUID

from project.printable import to_storable

REDACTED: Final = "[redacted]"
#: A shorter value could be a part of any word, so what a line says goes as a whole where it holds one.
_SHORT: Final = 4
#: So much of the beginning or the end of a longer value is taken for a piece of it; less where dots say so.
_PIECE: Final = 16
_PIECE_BY_DOTS: Final = 8
_DOTS: Final = ("...", "…")
#: Where a line ends and the next one begins, behind the margin that groups of exceptions have.
_NEW_LINE: Final = r"[ \t|]*(?:[\n\r\v\f\x1c-\x1e\x85\u2028\u2029][ \t|]*)+"
#: The head of a line of a traceback that tells the class of an exception.
_HEAD: Final = re.compile(r"(?P<head>[\s|+-]*(?:\w+\.)*[A-Z]\w{4,}): ")
_FRAME: Final = re.compile(r'[\s|]*File ".*", line \d+')
#: What a traceback has under a frame: a line of code, and marks below it.
_CODE: Final = re.compile(r"[\s|]*[\s]{4}\S|[\s|]*[~^]+\s*$")


def redact(text: str, values: Iterable[object]) -> str:
    """Return a text, of an exception, a traceback or a log, without values and without whatever they hold inside.

    Of a value of several lines each line counts, and of a long one its beginning and its end.
    """
    leaves = [leaf for value in values for leaf in _leaves(value)]
    for leaf in leaves:
        text = _redact_across_margins(text, str(leaf))
    found = {form for leaf in leaves for form in _forms(leaf)}
    lines = {form for leaf in leaves for line in _lines(str(leaf)) if len(line) >= _SHORT for form in _forms(line)}
    # The longest first: one value may hold another.
    forms = sorted((form for form in found | lines if len(form) >= _SHORT), key=len, reverse=True)
    for form in forms:
        text = text.replace(form, REDACTED)
    for form in forms:
        text = _redact_pieces(text, form)
    short = sorted(form for form in found if len(form) < _SHORT)
    return _redact_lines(text, short) if short and any(form in text for form in short) else text


def _redact_across_margins(text: str, value: str) -> str:
    """Take out a value that has lines too short to be looked for alone, also where each line is behind a margin."""
    lines = _lines(value)
    if len(lines) < 2 or all(len(line) >= _SHORT for line in lines) or lines[0] not in text:
        return text
    return re.sub(_NEW_LINE.join(re.escape(line) for line in lines), REDACTED, text)


def _redact_pieces(text: str, form: str) -> str:
    """Take out the beginning and the end of a long value that a text shows a part of."""
    if len(form) <= _PIECE:
        return text
    if form[:_PIECE_BY_DOTS] in text:
        text = _redact_beginnings(text, form, REDACTED)
    if form[-_PIECE_BY_DOTS:] in text:
        text = _redact_beginnings(text[::-1], form[::-1], REDACTED[::-1])[::-1]
    return text


def _redact_beginnings(text: str, form: str, redacted: str) -> str:
    kept = []
    done = seen = 0
    while (start := text.find(form[:_PIECE_BY_DOTS], seen)) >= 0:
        end = start + _count_alike(form, text[start : start + len(form)])
        if end - start >= _PIECE or text.startswith(_DOTS, end):
            kept += [text[done:start], redacted]
            done = seen = end
        else:
            seen = start + 1
    return "".join([*kept, text[done:]])


def _count_alike(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    alike = (index for index, (left, right) in enumerate(zip(one, other, strict=False)) if left != right)
    return next(alike, min(len(one), len(other)))


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


def _lines(text: str) -> list[str]:
    """Return the lines of a value that has several, without what surrounds them; nothing of any other."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line] if len(lines) > 1 else []


def _forms(leaf: object) -> Iterator[str]:
    """Return how a value may stand in a text: as it is, and as ``repr``, JSON, HTML, URLs and bytes write it."""
    text = str(leaf)
    forms = {text, text.strip()}
    forms |= {escape(text) for escape in _ESCAPES}
    forms |= {escape(form) for form in forms for escape in _ESCAPES}  # a text that is quoted may be quoted again
    forms.add(repr(leaf))
    forms.add(to_storable(text))  # as it is stored
    if text.isprintable():
        forms |= {quote(text, safe=""), quote(text), quote_plus(text)}
    if isinstance(leaf, UUID):
        forms.add(leaf.hex)
    if isinstance(leaf, date):
        forms.add(leaf.isoformat())
    if isinstance(leaf, int | float | Decimal) and not isinstance(leaf, bool):
        forms.add(f"{leaf:,}")
    yield from (form for form in forms if form.strip())


#: How a text is quoted inside of another; its own quotes are escaped where the other one has both kinds.
_ESCAPES: Final[tuple[Callable[[str], str], ...]] = (
    lambda text: repr(text)[1:-1],
    lambda text: repr(f'"{text}')[2:-1],
    lambda text: ascii(text)[1:-1],
    lambda text: ascii(f'"{text}')[2:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text.encode("utf-8", "backslashreplace"))[2:-1],
    lambda text: repr(f'"{text}'.encode("utf-8", "backslashreplace"))[3:-1],
    lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    html.escape,
)

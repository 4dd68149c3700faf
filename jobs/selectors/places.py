"""Places in lists of tables: a page goes on behind the last row of the one before, whatever has come or gone since."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.core.signing import BadSignature, Signer
from django.db.models import Model, Q, QuerySet

from jobs.exceptions import InvalidCursorError

#: Rows of a page.
PAGE_SIZE: Final = 50


def cut_page[M: Model](
    rows: QuerySet[M], *, order: str, search: Mapping[str, str], cursor: str, limit: int
) -> tuple[list[M], str]:
    """Return the page of rows behind the place that a cursor names, and the cursor of the next one; empty at the end.

    Rows are in the order of a field, from the last to the first with a ``-``, and of their keys among equals. A cursor
    is signed for what was searched, and says nothing in the list of anything else.

    Raises:
        InvalidCursorError: The cursor isn't one that a page of this very search was given.
    """
    sign, name, step = ("-", order[1:], "lt") if order.startswith("-") else ("", order, "gt")
    if after := open_place(search, cursor):
        value, pk = after
        behind = Q(**{f"{name}__{step}": value}) | Q(**{f"pk__{step}": pk})
        rows = rows.filter(Q(**{f"{name}__{step}e": value}) & behind)
    page = list(rows.order_by(order, f"{sign}pk")[: limit + 1])
    if len(page) <= limit:
        return page, ""
    last = page[limit - 1]
    value = getattr(last, name)
    place = value.isoformat() if isinstance(value, datetime) else value
    return page[:limit], close_place(search, [place, str(last.pk)])


def close_place(search: Mapping[str, str], place: Sequence[object]) -> str:
    """Return a cursor: a place in the answer to a search, signed for that search alone."""
    return _get_signer(search).sign_object(list(place))


def open_place(search: Mapping[str, str], cursor: str) -> Sequence[Any]:  # Any: JSON
    """Return the place that a cursor names; nothing for none.

    Raises:
        InvalidCursorError: It isn't one of that search.
    """
    if not cursor:
        return ()
    try:
        return list(_get_signer(search).unsign_object(cursor))
    except (BadSignature, ValueError) as error:
        raise InvalidCursorError from error


def _get_signer(search: Mapping[str, str]) -> Signer:
    return Signer(salt=f"jobs.cursor {json.dumps(search, sort_keys=True)}")

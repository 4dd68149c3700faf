"""What people can take with them: the parts of the export of an account, of which other apps add their own."""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

#: One thing that is stored: names and values that JSON has, or times and ids.
type Row = Mapping[str, object]
#: Reads what is stored about the user of an id, row by row, since there may be many.
type Read = Callable[[UUID], Iterable[Row]]

_parts: dict[str, Read] = {}


def register_export(name: str, read: Read) -> None:
    """Add a list to the export of every account; call it when the app is ready.

    What ``read`` returns is given away as it is: it must hold no password, token or digest, and nothing that is about
    other people.

    Args:
        name: Name of the list in the export, with that of the app in front, such as ``oauth_clients``.
        read: Returns what is stored about the user of an id.

    Raises:
        ValueError: Another function has the name.
    """
    if _parts.setdefault(name, read) is not read:
        message = f"The export has a list {name!r} already."
        raise ValueError(message)


def list_exports() -> dict[str, Read]:
    """Return what other apps add, by name."""
    return dict(sorted(_parts.items()))

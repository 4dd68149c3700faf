"""The pages about one's own account that its navigation names, of which other apps add their own."""

from dataclasses import dataclass
from typing import Final

#: Name of the page on which people see and disconnect the apps that use their account, where an app adds it.
APPS_PAGE: Final = "oauth2_provider:connections"


@dataclass(frozen=True, slots=True)
class OwnPageLink:
    """One entry of the navigation."""

    #: Name of the address, with its namespace.
    view_name: str
    label: str
    #: Only who has this permission sees it; empty for everybody.
    permission: str = ""


_links: dict[str, OwnPageLink] = {}


def register_own_page(view_name: str, label: str, *, permission: str = "") -> None:
    """Add a page to the navigation of every account, behind those that are there; call it when the app is ready.

    Args:
        view_name: Name of the address, with its namespace, such as ``accounts:profile``; it takes no arguments.
        label: One or two words.
        permission: What it takes to see the entry; nothing without it. The page itself must ask for it too.

    Raises:
        ValueError: The page is there by another label.
    """
    link = OwnPageLink(view_name, label, permission)
    if _links.setdefault(view_name, link) != link:
        message = f"The page {view_name!r} has another label already."
        raise ValueError(message)


def find_apps_page() -> OwnPageLink | None:
    """Return the entry of the page of connected apps; None where no app has added it."""
    return _links.get(APPS_PAGE)


def list_own_pages() -> list[OwnPageLink]:
    """Return the entries in the order in which they were added."""
    return list(_links.values())

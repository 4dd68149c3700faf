"""Naming a device out of what its browser or program says of itself, and where it is."""

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

#: What a User-Agent says, and what people call it; the first that is found counts, as most claim to be others too.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
#: The first product of RFC 9110 §10.1.5, such as ``curl/8.5``.
_PRODUCT: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
UNKNOWN: Final = "Unknown device"


def describe_device(user_agent: str) -> str:
    """Return words such as "Firefox on Linux" for a User-Agent header; whoever sends it can say anything."""
    browser = _find(_BROWSERS, user_agent)
    system = _find(_SYSTEMS, user_agent)
    if not browser and not user_agent.startswith("Mozilla/"):
        product = _PRODUCT.match(user_agent)
        browser = product[0] if product else ""
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or UNKNOWN


def get_network(address: str | None) -> IPv4Network | IPv6Network | None:
    """Return the network that a provider's customers move about in: the /16 of an IPv4 address, the /32 of an IPv6 one.

    Args:
        address: A network address, or None where it isn't known.
    """
    if not address:
        return None
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return ip_network((parsed, 32 if isinstance(parsed, IPv6Address) else 16), strict=False)


def _find(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for sign, name in names if sign in user_agent), "")

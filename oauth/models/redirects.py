"""Why an address that a client names is accepted or not, in words for whoever administers it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from oauth.models.clients import Application, find_redirect_uri_fault


@dataclass(frozen=True, slots=True)
class Difference:
    """Where an address begins to differ from a registered one.

    Attributes:
        registered: The registered address.
        same: What both begin with.
        expected: What the registered address goes on with.
        found: What the other one goes on with.
        sentence: The first difference in words.
    """

    registered: str
    same: str
    expected: str
    found: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an address is accepted, and why not.

    Attributes:
        is_accepted: What the authorization endpoint will say.
        reason: Why, in a sentence.
        differences: From each registered address, the nearest one first; empty where it is accepted.
    """

    is_accepted: bool
    reason: str
    differences: tuple[Difference, ...] = ()


def judge_redirect_uri(*, application: Application, uri: str) -> Verdict:
    """Say what the authorization endpoint thinks of an address for that client (RFC 6749 §3.1.2.3)."""
    registered = application.redirect_uris.split()
    if application.redirect_uri_allowed(uri):
        same = "It is registered, character by character."
        port = "It is registered; the port of a loopback address may differ (RFC 8252 §7.3)."
        return Verdict(is_accepted=True, reason=same if uri in registered else port)
    differences = tuple(sorted(_compare(uri, registered), key=lambda found: -len(found.same)))
    if fault := find_redirect_uri_fault(uri):
        return Verdict(is_accepted=False, reason=f"It could not even be registered: {fault}", differences=differences)
    if not registered:
        return Verdict(is_accepted=False, reason="The client has no redirect address at all.")
    return Verdict(
        is_accepted=False,
        reason="It is none of the registered addresses, character by character.",
        differences=differences,
    )


def _compare(uri: str, registered: Iterable[str]) -> Iterable[Difference]:
    for known in registered:
        same = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(uri, known, strict=False)))
        expected, found = known[len(same) :], uri[len(same) :]
        yield Difference(known, same, expected, found, _describe(len(same) + 1, expected, found))


def _describe(place: int, expected: str, found: str) -> str:
    if not found:
        return f"It ends before character {place}, where the registered address goes on with {expected!r}."
    if not expected:
        return f"The registered address ends before character {place}, where this one goes on with {found!r}."
    hint = " Capital and small letters are not the same." if found[0].lower() == expected[0].lower() else ""
    return f"Character {place} is {found[0]!r}; the registered address has {expected[0]!r} there.{hint}"

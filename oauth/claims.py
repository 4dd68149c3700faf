"""What clients are told of people (OpenID Connect Core §5): which claims there are, and the parameter ``claims``."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from django.utils.module_loading import import_string

from oauth.conf import get_settings
from oauth.scopes import OPENID

#: Claim to the scope that gives it (OpenID Connect Core §5.4), as far as the house knows it of people.
STANDARD_CLAIMS: Final[Mapping[str, str]] = {
    "sub": OPENID,
    "name": "profile",
    "email": "email",
    "email_verified": "email",
}
#: What an ID token says of itself and of the sign-in.
ID_TOKEN_CLAIMS: Final = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid"}
)
#: Names that no claim of a project may take.
PROTOCOL_CLAIMS: Final = ID_TOKEN_CLAIMS | {"azp", "nbf", "jti"}
#: ``acr`` of a sign-in with one factor, whichever. A second factor will be "2".
ACR_ONE_FACTOR: Final = "1"
ACR_VALUES: Final = (ACR_ONE_FACTOR,)
_MAX_CHARACTERS: Final = 4000


class Person(Protocol):
    """A user, as far as claims are concerned."""

    name: str
    email: str
    email_verified_at: datetime | None


#: What a project adds: user, client id and granted scopes to claims, of those that ``OAUTH["CLAIMS"]`` names.
type ClaimsHook = Callable[[Any, str, frozenset[str]], Mapping[str, object]]  # Any: a user, which is not ours to import


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRequest:
    """What the parameter ``claims`` asks for (OpenID Connect Core §5.5).

    Attributes:
        userinfo: Names of claims that the userinfo endpoint is to tell.
        id_token: Names of claims that the ID token is to tell.
        subjects: The person must be one of these; empty means anybody.
        essential_acr: The sign-in must be of one of these kinds; empty means any (§5.5.1.1).
    """

    userinfo: frozenset[str] = frozenset()
    id_token: frozenset[str] = frozenset()
    subjects: tuple[str, ...] = ()
    essential_acr: tuple[str, ...] = ()

    @property
    def scopes(self) -> frozenset[str]:
        """Return the scopes that give what is asked for; who asks for a claim asks for its scope."""
        known = get_claim_scopes()
        return frozenset(known[name] for name in self.userinfo | self.id_token if name in known)


def parse_claims(text: str) -> ClaimsRequest:
    """Read the parameter ``claims``; empty text asks for nothing. Members that mean nothing here are ignored.

    Raises:
        ValueError: It can't be read; the message is fit for an ``error_description``.
    """
    if not text:
        return ClaimsRequest()
    if len(text) > _MAX_CHARACTERS:
        message = f"The parameter claims is longer than {_MAX_CHARACTERS} characters."
        raise ValueError(message)
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = "The parameter claims is not JSON."
        raise ValueError(message) from error
    places = [_get_members(_get_members({"claims": asked}, "claims"), place) for place in ("userinfo", "id_token")]
    userinfo, id_token = places
    acr = _get_members(id_token, "acr")
    return ClaimsRequest(
        userinfo=frozenset(userinfo),
        id_token=frozenset(id_token),
        subjects=tuple(value for place in places for value in _get_values(_get_members(place, "sub"))),
        essential_acr=tuple(_get_values(acr)) if acr.get("essential") is True else (),
    )


def get_claim_scopes() -> Mapping[str, str]:
    """Return each claim about people with the scope that gives it: the house's own and the project's."""
    added = get_settings().claim_scopes
    return {**STANDARD_CLAIMS, **{name: scope for name, scope in added.items() if name not in PROTOCOL_CLAIMS}}


def describe_person(person: Person, *, client_id: str, scopes: Collection[str]) -> dict[str, object]:
    """Return all claims that the scopes give, but ``sub``; what isn't known of the person is left out."""
    told: dict[str, object] = {
        "name": person.name,
        "email": person.email,
        "email_verified": person.email_verified_at is not None,
    }
    options = get_settings()
    if options.claims_hook:
        hook: ClaimsHook = import_string(options.claims_hook)
        own = options.claim_scopes.keys() - PROTOCOL_CLAIMS
        told |= {name: value for name, value in hook(person, client_id, frozenset(scopes)).items() if name in own}
    known = get_claim_scopes()
    return {
        name: value
        for name, value in told.items()
        if known.get(name) in scopes and value is not None and value != ""  # a list or an object can't be in a set
    }


def get_acr(amr: Collection[str]) -> str:
    """Return the kind of a sign-in by its methods (RFC 8176); empty where it is not known how it was done."""
    return ACR_ONE_FACTOR if amr else ""


def _get_members(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:  # Any: JSON
    """Return a member that is an object or null.

    Raises:
        ValueError: It is something else.
    """
    match holder.get(name):
        case None:
            return {}
        case dict(member):
            return member
        case _:
            message = f"In the parameter claims, {name} must be an object."
            raise ValueError(message)


def _get_values(detail: Mapping[str, Any]) -> list[str]:  # Any: JSON
    """Return ``value`` and ``values`` of a claim that is asked for (OpenID Connect Core §5.5.1).

    Raises:
        ValueError: They aren't text, or ``values`` is no list.
    """
    match detail.get("values", []), [detail["value"]] if "value" in detail else []:
        case list(several), one if all(isinstance(value, str) for value in (*several, *one)):
            return [*several, *one]
        case _:
            message = "In the parameter claims, value and values of sub and acr must be text."
            raise ValueError(message)

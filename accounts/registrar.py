"""What decides whether an access token still works: revocations, and the row and the stamps of its user.

Where the shared cache holds all of it, nothing else is asked; otherwise one query is, and its answer is kept there.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from secrets import token_hex
from typing import Final, TypeIs
from uuid import UUID

from django.db.models import Q, Subquery

from accounts.models import USERS_FACT, Revocation, User, get_user_fact_key
from accounts.tokens import AccessClaims, RevocationKind, get_revocation_key, is_revoked, list_revokers
from permissions.selectors import get_epoch, give_stamps, list_stamp_keys, with_stamps
from project import shared_facts

#: The fact that every fact about a user names; it makes nothing last longer, so it may do so itself. In seconds.
_USERS_SECONDS: Final = 24 * 3600


def find_token_user(claims: AccessClaims, *, user_id: UUID) -> User | None:
    """Return the user of a token, with stamps; None where the token was revoked or its user doesn't exist."""
    epoch, keys = get_epoch(), _Keys.of(claims, user_id)
    reading = shared_facts.read([USERS_FACT, keys.user, *keys.stamps, *keys.revocations.values()])
    user, stamps = _find_kept_user(reading, keys), _find_kept_stamps(reading, keys)
    revoked_at = _find_kept_moments(reading, keys.revocations)
    if user is None or stamps is None or revoked_at is None:
        reading.note()
        user = _query_user(claims, user_id)
        if user is None:
            return None
        revoked_at = {kind: getattr(user, f"revoked_{kind}") for kind in keys.revocations}
        _remember(reading, keys, user, revoked_at)
    else:
        give_stamps(user, epoch=epoch, roles=stamps[0], own=stamps[1])
    return None if is_revoked(claims, revoked_at=revoked_at) else user


def is_token_revoked(claims: AccessClaims) -> bool:
    """Say whether a token was revoked, whoever it acts for."""
    revokers = list_revokers(claims)
    keys = {kind: get_revocation_key(kind, subject) for kind, subject in revokers.items()}
    reading = shared_facts.read(keys.values())
    revoked_at = _find_kept_moments(reading, keys)
    if revoked_at is None:
        reading.note()
        condition = reduce(or_, (Q(kind=kind, subject=subject) for kind, subject in revokers.items()))
        found = dict(Revocation.objects.filter(condition).values_list("kind", "revoked_at"))
        revoked_at = {kind: found.get(kind) for kind in keys}
        reading.remember(_to_facts(keys, revoked_at))
    return is_revoked(claims, revoked_at=revoked_at)


@dataclass(frozen=True, slots=True)
class _Keys:
    user: str
    #: Of all roles, and the user's own.
    stamps: tuple[str, str]
    revocations: dict[RevocationKind, str]

    @classmethod
    def of(cls, claims: AccessClaims, user_id: UUID) -> "_Keys":
        revocations = {kind: get_revocation_key(kind, subject) for kind, subject in list_revokers(claims).items()}
        return cls(get_user_fact_key(user_id), list_stamp_keys(user_id=user_id), revocations)


def _query_user(claims: AccessClaims, user_id: UUID) -> User | None:
    moments = {
        f"revoked_{kind}": Subquery(Revocation.objects.filter(kind=kind, subject=subject).values("revoked_at"))
        for kind, subject in list_revokers(claims).items()
    }
    return with_stamps(User.objects.filter(pk=user_id), user_id=user_id).annotate(**moments).first()


def _remember(
    reading: shared_facts.Reading, keys: _Keys, user: User, revoked_at: dict[RevocationKind, datetime | None]
) -> None:
    """Keep what one query said of a user and a token."""
    users = reading.facts.get(USERS_FACT) or token_hex(8)
    reading.remember({USERS_FACT: users}, seconds=_USERS_SECONDS)
    facts = _to_facts(keys.revocations, revoked_at) | {keys.user: {"users": users, "row": user.to_fact()}}
    roles, own = keys.stamps
    facts[roles] = user.permission_stamps_roles  # type: ignore[attr-defined]  # annotated by with_stamps
    facts[own] = user.permission_stamps_user  # type: ignore[attr-defined]  # as above
    reading.remember(facts)


def _find_kept_user(reading: shared_facts.Reading, keys: _Keys) -> User | None:
    match reading.facts.get(keys.user), reading.facts.get(USERS_FACT):
        case {"users": str(its), "row": row}, str(users) if its == users:
            user = User.find_in_fact(row)
        case _:
            user = None
    if user is None:
        reading.facts.pop(keys.user, None)
    return user


def _find_kept_stamps(reading: shared_facts.Reading, keys: _Keys) -> tuple[int | None, int | None] | None:
    roles, own = (reading.facts.get(key, False) for key in keys.stamps)
    return (roles, own) if _is_stamp(roles) and _is_stamp(own) else None


def _is_stamp(fact: object) -> TypeIs[int | None]:
    return fact is None or (isinstance(fact, int) and fact is not False)


def _find_kept_moments(
    reading: shared_facts.Reading, keys: dict[RevocationKind, str]
) -> dict[RevocationKind, datetime | None] | None:
    """Return when each was revoked; None where one of the facts is missing."""
    moments: dict[RevocationKind, datetime | None] = {}
    for kind, key in keys.items():
        match reading.facts.get(key, False):
            case None:
                moments[kind] = None
            case str(text):
                moments[kind] = datetime.fromisoformat(text)
            case _:
                return None
    return moments


def _to_facts(keys: dict[RevocationKind, str], revoked_at: dict[RevocationKind, datetime | None]) -> dict[str, object]:
    return {key: moment.isoformat() if (moment := revoked_at[kind]) else None for kind, key in keys.items()}

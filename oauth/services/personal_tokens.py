"""Personal access tokens: what people make for programs of their own.

``gpat_``, 43 random characters of base62 (256 bits), and 6 of a checksum: the CRC-32 of the 43, in base62 too, so that
whoever scans for secrets can tell ours without asking us.
"""

import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID
from zlib import crc32

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q

from accounts.exceptions import InvalidToken, SessionDoesNotExist
from accounts.services import hold_session
from accounts.tokens import AccessClaims
from oauth import signals
from oauth.conf import get_settings
from oauth.exceptions import PersonalTokenRefused
from oauth.models import PERSONAL_CLIENT_ID, PersonalAccessToken
from oauth.scopes import list_personal_scopes
from oauth.services.codes import hold_person
from permissions import audit
from project.crypto import keyed_digest, keyed_digests

PERSONAL_PREFIX: Final = "gpat_"
#: So many can be had at once, those included that have expired a short while ago.
MAX_PERSONAL_TOKENS: Final = 100
MAX_NAME_CHARACTERS: Final = 100
#: The lifetimes that are offered, besides that of no end.
PERSONAL_TOKEN_DAYS: Final = (30, 90, 365)
DEFAULT_PERSONAL_TOKEN_DAYS: Final = 90
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS: Final = 43
_CHECKSUM_CHARACTERS: Final = 6
_FORM: Final = re.compile(r"gpat_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")
_HINT_CHARACTERS: Final = 4
_PURPOSE: Final = "personal-access-token"
#: How often a token writes down that it is used.
_TOUCH_EVERY: Final = timedelta(minutes=1)
#: For so long a token is kept after its end.
_KEPT: Final = timedelta(days=30)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, repr=False)
class NewPersonalToken:
    """A token that was just made."""

    row: PersonalAccessToken
    #: The token itself, which is shown this once.
    token: str


@transaction.atomic
def create_personal_token(
    *,
    user_id: UUID,
    session_id: UUID,
    name: str,
    scopes: Iterable[str],
    lifetime: timedelta | None,
    now: datetime,
) -> NewPersonalToken:
    """Make a token for somebody who has shown a short while ago who they are.

    Args:
        user_id: Whose it is to be.
        session_id: The session in which it is asked for; what ends that with all others ends the token too.
        name: What its owner calls it: no other one of theirs is called like that.
        scopes: What it may do, as far as its owner may.
        lifetime: None for one that stays until it is revoked.
        now: Beginning of its life.

    Raises:
        PersonalTokenRefused: Name or scopes won't do, or there are too many tokens.
        SessionDoesNotExist: The session has ended.
    """
    # The person first: who deletes them does it in this order, and of two tokens one sees the other.
    if not hold_person(user_id):
        raise SessionDoesNotExist
    hold_session(session_id=session_id, user_id=user_id)
    name, wanted = name.strip(), set(scopes)
    known = [scope for scope in list_personal_scopes() if scope in wanted]
    _check(user_id, name, wanted, known)
    token = make_personal_token()
    row = PersonalAccessToken.objects.create(
        user_id=user_id,
        name=name,
        digest=keyed_digest(_PURPOSE, token),
        hint=token[-_HINT_CHARACTERS:],
        scope=" ".join(known),
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    user = audit.Reference.to(get_user_model(), user_id)
    audit.record("personal_token.created", subject=user, token_id=row.pk, name=name, scopes=known)
    fact = signals.PersonalTokenCreated(user_id=user_id, name=name, scopes=tuple(known))
    transaction.on_commit(partial(signals.personal_token_created.announce, fact))
    return NewPersonalToken(row, token)


def use_personal_token(raw: str, now: datetime) -> AccessClaims:
    """Return what a token says at this moment, with one query, and note once a minute that it is used.

    It counts as issued now: what ends its owner's access tokens and sessions leaves it alone, unless it is revoked too.
    Whether the owner may do anything is asked with the claims, as for every token.

    Raises:
        InvalidToken: There is none such, or it has expired or was revoked.
    """
    if not is_personal_token(raw):
        raise InvalidToken(detail="no personal access token of ours")
    living = PersonalAccessToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
    row = living.filter(digest__in=keyed_digests(_PURPOSE, raw)).order_by().first()
    if row is None:
        raise InvalidToken(detail="unknown, expired or revoked")
    if row.last_used_at is None or row.last_used_at + _TOUCH_EVERY <= now:
        PersonalAccessToken.objects.filter(pk=row.pk, last_used_at=row.last_used_at).update(last_used_at=now)
    return AccessClaims(
        subject=str(row.user_id),
        client_id=PERSONAL_CLIENT_ID,
        session_id=None,
        jti=str(row.pk),
        issued_at=now,
        expires_at=row.expires_at or _NEVER,
        scope=frozenset(row.scope.split()) & frozenset(get_settings().scopes),
        audience=(settings.BASE_URL,),
    )


def sweep_personal_tokens(*, now: datetime, limit: int) -> int:
    """Delete tokens whose end was 30 days ago or more, so many at most, and return how many."""
    ended = now - _KEPT
    over = PersonalAccessToken.objects.filter(Q(expires_at__lte=ended) | Q(revoked_at__lte=ended)).order_by()
    with transaction.atomic():
        keys = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        PersonalAccessToken.objects.filter(pk__in=keys).delete()
    return len(keys)


def make_personal_token() -> str:
    """Return a random token."""
    random = "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
    return PERSONAL_PREFIX + random + _sum_up(random)


def is_personal_token(text: str) -> bool:
    """Say whether a text has the form of a token, checksum and all."""
    found = _FORM.fullmatch(text)
    return found is not None and _sum_up(found[1]) == found[2]


def _sum_up(random: str) -> str:
    """Return the CRC-32 in base62, its highest digit first."""
    rest, digits = crc32(random.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        rest, digit = divmod(rest, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits


def _check(user_id: UUID, name: str, wanted: set[str], known: list[str]) -> None:
    """Refuse what can't be made.

    Raises:
        PersonalTokenRefused: As for ``create_personal_token``.
    """
    if not name or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
        message = f"Give it a name of at most {MAX_NAME_CHARACTERS} characters."
        raise PersonalTokenRefused(fields={"name": [message]})
    if not known or len(known) < len(wanted):
        raise PersonalTokenRefused(fields={"scopes": ["Choose at least one of those that are offered, and no other."]})
    names = list(
        PersonalAccessToken.objects.filter(user_id=user_id, revoked_at=None).order_by().values_list("name", flat=True)
    )
    if name in names:
        message = "You have a token of this name. Choose another one, or revoke that token."
        raise PersonalTokenRefused(fields={"name": [message]})
    if len(names) >= MAX_PERSONAL_TOKENS:
        raise PersonalTokenRefused(f"You have {MAX_PERSONAL_TOKENS} tokens, which is the limit. Revoke one first.")

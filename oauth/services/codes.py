"""Authorization codes: given out once, used once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.contrib.auth import get_user_model
from django.db import transaction

from accounts.exceptions import SessionDoesNotExist
from accounts.services import EndReason, end_client_session, hold_session
from oauth.conf import get_settings
from oauth.models import Application, Grant
from oauth.selectors import covers, find_consent
from oauth.tokens import get_code_digests, hash_code
from permissions import audit

_log = structlog.get_logger("gatehouse.oauth")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """What a code is given for.

    Attributes:
        redirect_uri: As it stood in the request; empty where the request left it out.
        scopes: What was allowed.
        resource: At which audiences (RFC 8707).
        code_challenge: RFC 7636 §4.2, method S256.
        nonce: To be repeated in the ID token.
        claims: The parameter of OpenID Connect Core §5.5 as it came.
    """

    redirect_uri: str
    scopes: tuple[str, ...]
    resource: tuple[str, ...] = ()
    code_challenge: str
    nonce: str = ""
    claims: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A person who is there, and how they showed who they are.

    Attributes:
        user_id: Who.
        session_id: Their session on the pages.
        authenticated_at: When they last did.
        amr: How, as methods of RFC 8176 §2.
    """

    user_id: UUID
    session_id: UUID | None
    authenticated_at: datetime
    amr: tuple[str, ...] = ()


@transaction.atomic
def create_code(
    *, code: str, application: Application, presence: Presence, asked: CodeRequest, now: datetime
) -> Grant | None:
    """Store an authorization code, hashed; its short life begins now.

    The person's row is locked first, as where a consent ends: what is taken back while the page is answered gives
    nothing, and what is taken back later finds the code.

    Returns:
        None where the person doesn't allow that any more, or is gone or inactive.
    """
    if not hold_person(presence.user_id):
        return None
    consent = find_consent(user_id=presence.user_id, application=application, now=now)
    if not covers(consent=consent, scopes=asked.scopes, resource=asked.resource):
        return None
    return Grant.objects.create(
        code=hash_code(code),
        application=application,
        user_id=presence.user_id,
        opened_in_id=presence.session_id,
        authenticated_at=presence.authenticated_at,
        amr=" ".join(presence.amr),
        redirect_uri=asked.redirect_uri,
        scope=" ".join(asked.scopes),
        resource=list(asked.resource),
        code_challenge=asked.code_challenge,
        code_challenge_method=Grant.CODE_CHALLENGE_S256,
        nonce=asked.nonce,
        claims=asked.claims,
        expires=now + get_settings().code_lifetime,
    )


def hold_person(user_id: UUID) -> bool:
    """Lock a person's row until the end of the caller's transaction; say whether they are there and active.

    Whoever deletes the person, deactivates them, changes their password or takes a consent back has it, too, and then
    comes wholly before or wholly after.
    """
    people = get_user_model().objects.select_for_update(no_key=True)
    return people.filter(pk=user_id, is_active=True).first() is not None


def redeem_code(*, code: str, application: Application, started_at: datetime, now: datetime) -> Grant | None:
    """Consume a code, whoever brings it, and return it if it is good for that client (RFC 6749 §4.1.3).

    A second use ends everything that the first one gave (RFC 6749 §4.1.2), unless the two raced: then the loser is
    refused and nothing else happens.

    Call it within the transaction that gives the tokens. The person's row is locked first: whoever deletes the person,
    deactivates them or changes their password has it, too, and then comes wholly before or wholly after. So does
    whoever ends the session on the pages in which the code was allowed.
    """
    known = Grant.objects.filter(code__in=get_code_digests(code))
    grant = known.select_related("user").select_for_update(of=("user",), no_key=True).first()
    if grant is None:
        return None
    this = Grant.objects.filter(pk=grant.pk)
    if not this.filter(consumed_at=None).update(consumed_at=now):
        used_at = this.values_list("consumed_at", flat=True).first()
        if used_at is not None and used_at < started_at:
            _log.warning("authorization code used again", client_id=application.client_id, user_id=str(grant.user_id))
            audit.record("authorization_code.reused", subject=grant.user, client=application.client_id)
            end_client_session(session_id=grant.session_id, reason=EndReason.CODE_REUSED, now=now)
        return None
    is_good = grant.application_id == application.pk and now < grant.expires and grant.user.is_active
    return grant if is_good and _holds_session(grant) else None


def _holds_session(grant: Grant) -> bool:
    """Say whether the session lives in which the code was allowed; whoever ends it waits for the tokens, then."""
    if grant.opened_in_id is None:
        return False
    try:
        hold_session(session_id=grant.opened_in_id, user_id=grant.user_id)
    except SessionDoesNotExist:
        return False
    return True


def void_code(*, grant: Grant, now: datetime) -> None:
    """Make a code useless that waits to be exchanged, and end what it gave if it was."""
    void_codes([grant.pk], now=now)
    end_client_session(session_id=grant.session_id, reason=EndReason.CONSENT_REVOKED, now=now)


def void_codes(ids: Iterable[int], *, now: datetime) -> int:
    """Make codes useless that wait to be exchanged; return how many."""
    return Grant.objects.filter(pk__in=ids, consumed_at=None).update(consumed_at=now)

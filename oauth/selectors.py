"""What other modules and apps may read of the authorization server."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from accounts.exceptions import InvalidToken
from accounts.exports import Row
from accounts.opaque import read_bearer_token
from accounts.selectors import find_living_refresh_token, get_token_user, is_token_revoked, list_client_sessions
from accounts.services import Session
from accounts.tokens import AccessClaims, read_access_token
from oauth.claims import describe_person
from oauth.exceptions import ClientDoesNotExist, SecretDoesNotExist
from oauth.models import (
    AccessToken,
    Application,
    ClientSecret,
    Consent,
    DeviceGrant,
    Grant,
    PersonalAccessToken,
    StoredRequest,
    is_loopback,
)
from oauth.registrar import find_client
from oauth.scopes import OPENID
from oauth.tokens import OPAQUE_PREFIX, get_opaque_digests, get_request_digests

_INACTIVE: dict[str, object] = {"active": False}
#: How many rows of an export are read at once.
_CHUNK: Final = 500
#: How many sessions of a client are told of.
_SHOWN_SESSIONS: Final = 10


def get_active_client(*, client_id: str) -> Application | None:
    """Return the client of that id if it may be used at all; without a query where the shared cache knows it."""
    return find_client(client_id)


def get_client_id_by_name(*, name: str) -> str | None:
    """Return the id of the usable client of that name, the oldest one if the house has more; people's don't count."""
    clients = Application.objects.usable().filter(name=name, user=None)
    return clients.order_by("created").values_list("client_id", flat=True).first()


def list_clients(*, owner_id: UUID | None = None) -> QuerySet[Application]:
    """Return all clients, or those that belong to a user, by name, each with its secrets."""
    clients = Application.objects.all() if owner_id is None else Application.objects.filter(user=owner_id)
    return clients.order_by("name", "pk").prefetch_related("secrets")


def get_client(*, client_id: str, owner_id: UUID | None = None) -> Application:
    """Return a client, active or not, with its secrets.

    Raises:
        ClientDoesNotExist: There is none of that id, or it doesn't belong to that user.
    """
    client = list_clients(owner_id=owner_id).filter(client_id=client_id).first()
    if client is None:
        raise ClientDoesNotExist
    return client


def get_client_secret(*, application: Application, secret_id: int) -> ClientSecret:
    """Return a secret of a client.

    Raises:
        SecretDoesNotExist: The client has none of that id.
    """
    secret = ClientSecret.objects.filter(application=application, pk=secret_id).first()
    if secret is None:
        raise SecretDoesNotExist
    return secret


def find_consent(*, user_id: UUID, application: Application, now: datetime) -> Consent | None:
    """Return what a person has allowed to a client and was not asked too long ago."""
    consent = Consent.objects.filter(user_id=user_id, application=application).first()
    if consent is None or (consent.expires_at is not None and consent.expires_at <= now):
        return None
    return consent


def list_new_scopes(*, consent: Consent | None, scopes: Iterable[str]) -> list[str]:
    """Return those of some scopes that a person has not allowed yet."""
    known = set(consent.scope.split()) if consent else set()
    return [scope for scope in scopes if scope not in known]


def covers(*, consent: Consent | None, scopes: Iterable[str], resource: Iterable[str]) -> bool:
    """Say whether a person has allowed all of that before; what every consent allows is this house."""
    if consent is None or list_new_scopes(consent=consent, scopes=scopes):
        return False
    return {*resource} <= {settings.BASE_URL, *consent.resource}


def is_identity_assured(*, application: Application, redirect_uri: str) -> bool:
    """Say whether it is certain that a request comes from that client (RFC 8252 §8.6).

    A confidential one will show its secret, and an ``https`` address belongs to its owner; but every program on a
    computer can listen at a loopback address, and be a public client by its id.
    """
    return application.client_type == Application.CLIENT_CONFIDENTIAL or not is_loopback(redirect_uri)


def find_stored_request(*, handle: str, browser_key: str, now: datetime) -> Mapping[str, str] | None:
    """Return the authorization request that one browser has waiting under a handle."""
    found = StoredRequest.objects.filter(digest__in=get_request_digests(handle, browser_key), expires_at__gt=now)
    parameters: Mapping[str, str] | None = found.values_list("parameters", flat=True).first()
    return parameters


def read_opaque_token(raw: str, now: datetime) -> AccessClaims:
    """Return what an opaque access token says, with one query.

    Raises:
        InvalidToken: There is none such, or it has expired.
    """
    rows = AccessToken.objects.filter(token_checksum__in=get_opaque_digests(raw), expires__gt=now)
    rows = rows.exclude(application__user__is_active=False)
    row = rows.select_related("application", "session").first()
    if row is None or row.application is None or not row.application.is_active:
        raise InvalidToken(detail="unknown or expired")
    session = row.session
    if session is not None and (session.revoked_at is not None or session.expires_at <= now):
        raise InvalidToken(detail="its session has ended")
    audience = tuple(row.resource) or (settings.BASE_URL,)
    return AccessClaims(
        subject=str(row.user_id) if row.user_id else row.application.client_id,
        client_id=row.application.client_id,
        session_id=session.pk if session else None,
        jti=str(row.jti),
        issued_at=row.created,
        expires_at=row.expires,
        scope=frozenset(row.scope.split()),
        authenticated_at=session.authenticated_at if session else None,
        amr=tuple(session.amr.split()) if session else (),
        audience=audience,
    )


def introspect_token(*, token: str, application: Application, now: datetime) -> dict[str, object]:
    """Return what an access or refresh token is worth right now (RFC 7662 §2.2), to whom it concerns.

    That is the client that it was issued to and, of an access token, each client that is one of its audiences. Anybody
    else's token, and anything that isn't a token, is inactive.
    """
    try:
        claims = (
            read_bearer_token(token, now=now, is_for_us=False)
            if token.startswith(OPAQUE_PREFIX)
            else read_access_token(token, now=now, is_for_us=False)
        )
    except InvalidToken:
        return _introspect_refresh_token(token, application, now)
    if claims.client_id != application.client_id and not set(application.allowed_resources) & set(claims.audience):
        return _INACTIVE
    return _introspect_access_token(claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """That a client may act for a person: by what they allowed, or by a session that there is."""

    application: Application
    #: None where the person was never asked.
    consent: Consent | None
    #: Those used last.
    sessions: tuple[Session, ...]
    #: How many there are in all.
    session_count: int

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the client may do."""
        texts = [self.consent.scope] if self.consent else [session.scope for session in self.sessions]
        return tuple(dict.fromkeys(scope for text in texts for scope in text.split()))

    @property
    def granted_at(self) -> datetime:
        """Since when."""
        return self.consent.granted_at if self.consent else min(session.created_at for session in self.sessions)

    @property
    def last_used_at(self) -> datetime | None:
        """When the client got tokens last."""
        known = [session.last_used_at for session in self.sessions]
        if self.consent and self.consent.last_used_at:
            known.append(self.consent.last_used_at)
        return max(known, default=None)


def list_connected_clients(*, user_id: UUID, now: datetime) -> QuerySet[Application]:
    """Return the clients that may act for a person, switched off ones too, by name; for ``describe_connections``."""
    living = list_client_sessions(user_id=user_id, now=now).order_by().values("client_id")
    consents = Consent.objects.filter(user_id=user_id).order_by().values("application_id")
    return Application.objects.filter(Q(pk__in=consents) | Q(client_id__in=living)).order_by("name", "pk")


def describe_connections(*, user_id: UUID, clients: Iterable[Application], now: datetime) -> list[Connection]:
    """Return what clients may do for a person, in their order, with two queries for any number of them.

    Clients that lost it meanwhile are left out.
    """
    by_client = {client.client_id: client for client in clients}
    consents = {
        consent.application_id: consent
        for consent in Consent.objects.filter(user_id=user_id, application__in=by_client.values())
    }
    ranked = (
        list_client_sessions(user_id=user_id, now=now)
        .filter(client_id__in=by_client)
        .annotate(
            rank=Window(RowNumber(), partition_by="client_id", order_by=["-last_used_at", "pk"]),
            number=Window(Count("pk"), partition_by="client_id"),
        )
    )
    sessions: dict[str, list[Session]] = defaultdict(list)
    numbers: dict[str, int] = {}
    for session in ranked.filter(rank__lte=_SHOWN_SESSIONS):
        sessions[session.client_id].append(session)
        numbers[session.client_id] = session.number
    return [
        Connection(
            application=client,
            consent=consents.get(client.pk),
            sessions=tuple(sessions[client_id]),
            session_count=numbers.get(client_id, 0),
        )
        for client_id, client in by_client.items()
        if client.pk in consents or client_id in numbers
    ]


def list_personal_tokens(*, user_id: UUID) -> QuerySet[PersonalAccessToken]:
    """Return a person's personal access tokens that weren't revoked, the newest first; some may have expired lately."""
    return PersonalAccessToken.objects.filter(user_id=user_id, revoked_at=None).order_by("-created_at", "pk")


def describe_token_user(*, token: str, now: datetime) -> dict[str, object] | None:
    """Return what an access token lets its holder know of the person it acts for; None where it lacks ``openid``.

    Raises:
        InvalidToken: The token isn't one of ours, or is dead.
    """
    claims = read_bearer_token(token, now=now)
    scopes = claims.scope or frozenset()
    if claims.subject == claims.client_id:
        if is_token_revoked(claims=claims):
            raise InvalidToken(detail="revoked")
        return None
    person = get_token_user(claims=claims)
    if OPENID not in scopes:
        return None
    return {"sub": claims.subject, **describe_person(person, client_id=claims.client_id, scopes=scopes)}


def is_allowed_origin(*, origin: str) -> bool:
    """Say whether an active client lists the origin, or the house has it itself."""
    if origin == settings.BASE_URL:
        return True
    candidates = Application.objects.usable().filter(allowed_origins__contains=origin)
    return any(client.origin_allowed(origin) for client in candidates.only("allowed_origins"))


def list_own_clients(user_id: UUID) -> Iterable[Row]:
    """Return the clients that belong to a user, for their export."""
    clients = Application.objects.filter(user=user_id)
    return clients.values("client_id", "name", "redirect_uris", "created", "updated").order_by("pk").iterator(_CHUNK)


def list_own_consents(user_id: UUID) -> Iterable[Row]:
    """Return what a user has allowed to clients, for their export."""
    columns = ("application__client_id", "application__name", "scope", "resource", "granted_at", "updated_at")
    consents = Consent.objects.filter(user=user_id).values(*columns, "last_used_at", "expires_at")
    rows: Iterable[Row] = consents.order_by("pk").iterator(_CHUNK)
    return rows


def list_own_codes(user_id: UUID) -> Iterable[Row]:
    """Return which codes clients were given for a user, but not the codes, for their export."""
    columns = ("application__client_id", "application__name", "scope", "redirect_uri", "created", "expires")
    codes = Grant.objects.filter(user=user_id)
    rows: Iterable[Row] = codes.values(*columns, "consumed_at").order_by("pk").iterator(_CHUNK)
    return rows


def list_own_devices(user_id: UUID) -> Iterable[Row]:
    """Return which devices a user has decided on, for their export."""
    columns = ("application__client_id", "application__name", "scope", "status", "created_at", "expires")
    rows: Iterable[Row] = DeviceGrant.objects.filter(user=user_id).values(*columns).order_by("pk").iterator(_CHUNK)
    return rows


def list_own_opaque_tokens(user_id: UUID) -> Iterable[Row]:
    """Return which opaque access tokens clients were given for a user, but not the tokens, for their export."""
    columns = ("application__client_id", "application__name", "scope", "resource", "created", "expires")
    rows: Iterable[Row] = AccessToken.objects.filter(user=user_id).values(*columns).order_by("pk").iterator(_CHUNK)
    return rows


def list_own_personal_tokens(user_id: UUID) -> Iterable[Row]:
    """Return a user's personal access tokens, but not the tokens, for their export."""
    columns = ("name", "hint", "scope", "created_at", "expires_at", "last_used_at", "revoked_at")
    tokens = PersonalAccessToken.objects.filter(user=user_id)
    rows: Iterable[Row] = tokens.values(*columns).order_by("created_at", "pk").iterator(_CHUNK)
    return rows


def _introspect_access_token(claims: AccessClaims) -> dict[str, object]:
    answer: dict[str, object] = {
        "active": True,
        "token_type": "Bearer",
        "client_id": claims.client_id,
        "sub": claims.subject,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "iss": settings.BASE_URL,
        "aud": claims.audience[0] if len(claims.audience) == 1 else list(claims.audience),
        "jti": claims.jti,
    }
    if claims.scope:
        answer["scope"] = " ".join(sorted(claims.scope))
    if claims.authenticated_at is not None:
        answer["auth_time"] = int(claims.authenticated_at.timestamp())
    if claims.subject == claims.client_id:
        return _INACTIVE if is_token_revoked(claims=claims) else answer
    try:
        answer["username"] = get_token_user(claims=claims).get_username()
    except InvalidToken:
        return _INACTIVE
    return answer


def _introspect_refresh_token(token: str, application: Application, now: datetime) -> dict[str, object]:
    row = find_living_refresh_token(refresh_token=token, client_id=application.client_id, now=now)
    if row is None:
        return _INACTIVE
    return {
        "active": True,
        "scope": row.session.scope,
        "client_id": application.client_id,
        "username": row.session.user.get_username(),
        "sub": str(row.session.user_id),
        "iat": int(row.created_at.timestamp()),
        "exp": int(min(row.expires_at, row.session.expires_at).timestamp()),
        "iss": settings.BASE_URL,
        "aud": row.session.resource or settings.BASE_URL,
    }

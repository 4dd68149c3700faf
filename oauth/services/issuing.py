"""What goes out of the token endpoint.

Access tokens are the signed JWTs of ``accounts.tokens`` and leave no row, unless the client wants opaque ones. What a
client may do for a person is a session of its own in ``accounts``, with refresh tokens that rotate there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4, uuid5

from django.db import transaction

from accounts.rotation import Rotation
from accounts.services import Access, Device, Session, open_client_session, refresh_client_session
from accounts.tokens import issue_access_token
from oauth.conf import get_settings
from oauth.models import AccessToken, Application, Consent, GrantType
from oauth.scopes import OFFLINE, OPENID
from oauth.services.id_tokens import issue_id_token
from oauth.services.sweeping import sweep_aside
from oauth.tokens import hash_opaque_token, make_opaque_token


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Issued:
    """The answer to a granted request."""

    access_token: str
    expires_in: timedelta
    scope: tuple[str, ...]
    refresh_token: str = ""
    id_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What OpenID Connect adds to an authorization request, for the ID token."""

    nonce: str = ""
    #: The code that is exchanged, if any.
    code: str = ""


def issue_for_client(
    *, application: Application, scopes: Iterable[str], resource: Iterable[str] = (), now: datetime
) -> Issued:
    """Give a client a token for itself (RFC 6749 §4.4); nothing is stored where it is a JWT."""
    scope, jti = tuple(scopes), uuid4()
    token = _Token(application=application, subject=application.client_id, scope=scope, resource=tuple(resource))
    return Issued(access_token=token.issue(jti=jti, now=now), expires_in=token.lifetime, scope=scope)


@transaction.atomic(savepoint=False)
def issue_for_person(
    *,
    application: Application,
    access: Access,
    device: Device,
    session_id: UUID | None = None,
    resource: tuple[str, ...] = (),
    asked: Asked | None = None,
    now: datetime,
) -> Issued:
    """Begin a client's session for a person who has allowed it, and give the client its first tokens.

    ``resource`` narrows the first access token alone. A refresh token comes with it where the client is registered for
    that and, with OpenID Connect, was allowed ``offline_access`` (OpenID Connect Core §11). Without one the session
    ends with its access token.
    """
    settings = get_settings()
    is_lasting = application.allows_grant_type(GrantType.REFRESH_TOKEN) and (
        OPENID not in access.scope or OFFLINE in access.scope
    )
    session, rotation = open_client_session(
        access=access,
        device=device,
        lifetime=settings.session_lifetime if is_lasting else settings.access_token_lifetime,
        idle=settings.refresh_token_lifetime if is_lasting else None,
        session_id=session_id,
        now=now,
    )
    Consent.objects.filter(user_id=access.user_id, application=application).update(last_used_at=now)
    sweep_aside(made=session.pk, now=now)
    jti, refresh_token = (rotation.jti, rotation.refresh_token) if rotation else (uuid4(), "")
    return _issue_for_session(
        application,
        session,
        jti=jti,
        refresh_token=refresh_token,
        scope=access.scope,
        resource=resource or access.resource,
        asked=asked,
        now=now,
    )


def issue_for_refresh(
    *,
    application: Application,
    refresh_token: str,
    scopes: Iterable[str],
    resource: Iterable[str],
    started_at: datetime,
    now: datetime,
) -> Issued:
    """Exchange a refresh token (RFC 6749 §6); again for the same answer within the grace period.

    Args:
        application: The client.
        refresh_token: The token.
        scopes: For this access token alone; what was granted stays.
        resource: Its audiences; empty means this house.
        started_at: When the request arrived.
        now: Beginning of the new tokens' life.

    Raises:
        InvalidRefreshToken: See ``accounts.rotation.rotate``.
    """
    scope, audiences = tuple(scopes), tuple(resource)
    rotation: Rotation = refresh_client_session(
        refresh_token=refresh_token,
        client_id=application.client_id,
        idle=get_settings().refresh_token_lifetime,
        started_at=started_at,
        now=now,
    )
    return _issue_for_session(
        application,
        rotation.session,
        # Within the grace period the same refresh token may give tokens for one audience and for another.
        jti=uuid5(rotation.jti, f"{' '.join(scope)}\n{' '.join(audiences)}"),
        refresh_token=rotation.refresh_token,
        scope=scope,
        resource=audiences,
        asked=None,
        now=rotation.issued_at,
    )


def _issue_for_session(
    application: Application,
    session: Session,
    *,
    jti: UUID,
    refresh_token: str,
    scope: tuple[str, ...],
    resource: tuple[str, ...],
    asked: Asked | None,
    now: datetime,
) -> Issued:
    token = _Token(
        application=application, subject=str(session.user_id), scope=scope, resource=resource, session=session
    )
    access_token = token.issue(jti=jti, now=now)
    id_token = ""
    if OPENID in scope:
        id_token = issue_id_token(
            application=application,
            session=session,
            scope=scope,
            access_token=access_token,
            nonce=asked.nonce if asked else "",
            code=asked.code if asked else "",
            now=now,
        )
    return Issued(
        access_token=access_token,
        expires_in=token.get_lifetime(now),
        scope=scope,
        refresh_token=refresh_token,
        id_token=id_token,
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Token:
    """What an access token is to say."""

    application: Application
    subject: str
    scope: tuple[str, ...]
    resource: tuple[str, ...]
    session: Session | None = None

    @property
    def lifetime(self) -> timedelta:
        return get_settings().access_token_lifetime

    def get_lifetime(self, now: datetime) -> timedelta:
        """Return its life; no token outlives its session."""
        return self.lifetime if self.session is None else min(self.lifetime, self.session.expires_at - now)

    def issue(self, *, jti: UUID, now: datetime) -> str:
        if self.application.access_token_format == Application.AccessTokenFormat.OPAQUE:
            return self._store(jti=jti, now=now)
        session = self.session
        return issue_access_token(
            subject=self.subject,
            client_id=self.application.client_id,
            now=now,
            lifetime=self.get_lifetime(now),
            session_id=session.pk if session else None,
            scope=self.scope,
            jti=jti,
            authenticated_at=session.authenticated_at if session else None,
            amr=session.amr.split() if session else (),
            audience=self.resource,
        )

    def _store(self, *, jti: UUID, now: datetime) -> str:
        token = make_opaque_token(jti)
        row = AccessToken(
            application=self.application,
            user_id=self.session.user_id if self.session else None,
            session=self.session,
            token_checksum=hash_opaque_token(token),
            jti=jti,
            scope=" ".join(self.scope),
            resource=list(self.resource),
            created=now,
            expires=now + self.get_lifetime(now),
        )
        # Of clients that race with one refresh token each gets the same access token.
        AccessToken.objects.bulk_create([row], ignore_conflicts=True)
        sweep_aside(made=jti, now=now)
        return token

"""Consents: what people have allowed to clients."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from oauth.conf import get_settings
from oauth.models import Application, Consent
from permissions import audit


@transaction.atomic
def give_consent(
    *,
    user_id: UUID,
    application: Application,
    scopes: Iterable[str],
    resource: Iterable[str] = (),
    is_asked: bool = True,
    now: datetime,
) -> Consent:
    """Note that a person lets a client act for them; what was allowed before stays allowed where it was.

    ``is_asked`` says whether the person was asked, or the client is one of those that needn't ask.
    """
    wanted, audiences = list(scopes), list(resource)
    consent = _lock(user_id, application)
    if consent is None:
        consent = Consent(user_id=user_id, application=application, granted_at=now)
        try:
            with transaction.atomic():
                consent.save(force_insert=True)
        except IntegrityError:
            consent = Consent.objects.select_for_update().get(user_id=user_id, application=application)
    if consent.expires_at is not None and consent.expires_at <= now:
        consent.scope, consent.resource = "", []
    known, places = _combine(consent, wanted, audiences)
    consent.scope, consent.resource = " ".join(known), places
    lifetime = get_settings().consent_lifetime
    consent.updated_at, consent.expires_at = now, None if lifetime is None else now + lifetime
    consent.save()
    audit.record(
        "consent.given",
        subject=application,
        client=application.client_id,
        user_id=user_id,
        scopes=wanted,
        resource=audiences,
        is_asked=is_asked,
    )
    return consent


def _lock(user_id: UUID, application: Application) -> Consent | None:
    return Consent.objects.select_for_update().filter(user_id=user_id, application=application).first()


def _combine(consent: Consent, wanted: list[str], audiences: list[str]) -> tuple[list[str], list[str]]:
    """Return scopes and audiences of which each was allowed with each, now or before.

    A consent holds each of its scopes at each of its audiences. More of both would hold what nobody was asked: the old
    scopes at the new audiences, and the new ones at the old.
    """
    scopes, places = consent.scope.split(), list(consent.resource)
    is_more, is_elsewhere = not {*wanted} <= {*scopes}, not {*audiences} <= {*places}
    if is_more:
        return (wanted if is_elsewhere else list(dict.fromkeys([*scopes, *wanted]))), audiences
    return (wanted, list(dict.fromkeys([*places, *audiences]))) if is_elsewhere else (scopes, places)

"""Each event that docs/oauth.md lists is recorded, with who did it and through which client, and no other is."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts.models import RefreshToken, User
from accounts.services import Device as From
from accounts.services import set_password
from oauth.models import Application, ClientSecret, Grant, PersonalAccessToken
from oauth.services import (
    deny_waiting_device,
    end_client_of_session,
    end_client_secret,
    renew_client_secret,
    revoke_consent,
)
from oauth.services.passwords import issue_for_password
from permissions import audit
from tests.oauth.devices import Device
from tests.oauth.flow import Flow

_DOCS: Final = Path(__file__).parents[2] / "docs" / "oauth.md"
_SOURCES: Final = Path(__file__).parents[2] / "oauth"
_LATER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that something can happen with."""

    person: User
    app: Flow
    website: Flow
    service: Flow
    tv: Device

    @property
    def application(self) -> Application:
        found: Application = Application.objects.get(client_id=self.website.client_id)
        return found


@pytest.fixture
def scene(person: User, flow: Flow, web: Flow, service: Flow, device: Device) -> Scene:
    return Scene(person, flow, web, service, device)


def change(scene: Scene) -> None:
    application = scene.application
    application.name = "Another name"
    application.save()


def delete(scene: Scene) -> None:
    scene.application.delete()


def switch_off(scene: Scene) -> None:
    application = scene.application
    application.is_active = False
    application.save()


def renew_secret(scene: Scene) -> None:
    renew_client_secret(application=scene.application)


def end_secret(scene: Scene) -> None:
    end_client_secret(secret=ClientSecret.objects.get(application=scene.application), now=timezone.now())


def log_out(scene: Scene) -> None:
    scene.website.get_tokens()
    session = Grant.objects.get().opened_in
    assert session is not None
    end_client_of_session(application=scene.application, session_id=session.pk, now=timezone.now())


def consent(scene: Scene) -> None:
    scene.website.get_code()


def take_consent_back(scene: Scene) -> None:
    scene.website.get_tokens()
    revoke_consent(consent=scene.person.consents.get(), now=timezone.now())


def change_password(scene: Scene) -> None:
    scene.website.get_code()
    set_password(user=scene.person, password="another long password", now=timezone.now())


def use_code_again(scene: Scene) -> None:
    code = scene.website.get_code()
    scene.website.exchange(code)
    Grant.objects.update(consumed_at=timezone.now() - _LATER)
    assert scene.website.exchange(code).status_code == 400


def use_refresh_token_again(scene: Scene) -> None:
    first = scene.website.get_tokens()["refresh_token"]
    scene.website.refresh(first)
    RefreshToken.objects.update(used_at=F("used_at") - _LATER, created_at=F("created_at") - _LATER)
    assert scene.website.refresh(first).status_code == 400


def allow_device(scene: Scene) -> None:
    scene.tv.get_allowed()


def deny_device(scene: Scene) -> None:
    scene.tv.decide(scene.tv.get_codes()["user_code"], "deny")


def end_device(scene: Scene) -> None:
    scene.tv.get_codes()
    deny_waiting_device(device=Application.objects.get(client_id=scene.tv.flow.client_id).devicegrant_set.get())


def make_personal_token(scene: Scene) -> None:
    browser = Client()
    browser.force_login(scene.person)
    browser.post("/accounts/tokens/new/", {"name": "Backup", "days": "30", "scopes": ["profile"]})


def end_personal_token(scene: Scene) -> None:
    make_personal_token(scene)
    browser = Client()
    browser.force_login(scene.person)
    browser.post(f"/accounts/tokens/{PersonalAccessToken.objects.get().pk}/revoke/")


def revoke_session(scene: Scene) -> None:
    token = scene.website.get_tokens()["access_token"]
    scene.website.post("/oauth/revoke", token=token)


def revoke_own_token(scene: Scene) -> None:
    token = scene.service.post("/oauth/token", grant_type="client_credentials").json()["access_token"]
    for _ in range(2):
        scene.service.post("/oauth/revoke", token=token)


def give_password(scene: Scene) -> None:
    issue_for_password(
        application=scene.application,
        user=scene.person,
        scopes=["profile"],
        resource=[],
        device=From(None, ""),
        now=timezone.now(),
    )


def bring_wrong_secret(scene: Scene) -> None:
    wrong = Flow(scene.service.client_id, "wrong")
    for _ in range(3):
        assert wrong.post("/oauth/token", grant_type="client_credentials").status_code == 401


def do_nothing(scene: Scene) -> None:
    """Leave it at the clients that there are."""


#: What causes each event; how many of them there are then, and of whom each tells.
_CAUSES: Final[dict[str, Callable[[Scene], None]]] = {
    "authorization_code.reused": use_code_again,
    "client.changed": change,
    "client.created": do_nothing,
    "client.deleted": delete,
    "client.logged_out": log_out,
    "client.revoked": switch_off,
    "client.secret_ended": end_secret,
    "client.secret_refused": bring_wrong_secret,
    "client.secret_renewed": renew_secret,
    "consent.given": consent,
    "consent.revoked": take_consent_back,
    "device.allowed": allow_device,
    "device.denied": deny_device,
    "device.revoked": end_device,
    "personal_token.created": make_personal_token,
    "personal_token.revoked": end_personal_token,
    "refresh_token.reused": use_refresh_token_again,
    "session.ended": revoke_session,
    "token.revoked": revoke_own_token,
    "user.consents_revoked": change_password,
    "user.password_given": give_password,
}
#: What the person does who is signed in; the rest is done by programs, or here by nobody.
_BY_THE_PERSON: Final = {
    "consent.given",
    "device.allowed",
    "device.denied",
    "personal_token.created",
    "personal_token.revoked",
}


def _list_documented() -> set[str]:
    text = _DOCS.read_text().partition("\n## Events\n")[2].partition("\n## ")[0]
    return {name for line in re.findall(r"(?m)^\| (`.+?) \|", text) for name in re.findall(r"`([\w.]+)`", line)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("event", sorted(_CAUSES))
def test_each_event_is_recorded_once_for_each_time(scene: Scene, event: str) -> None:
    _CAUSES[event](scene)
    found = list(audit.list_events(event=event))
    assert len(found) == (4 if event == "client.created" else 1)
    assert all(row.subject_id for row in found)
    if event in _BY_THE_PERSON:
        assert {row.actor_label for row in found} == {scene.person.email}


def test_the_page_lists_what_can_be_caused_and_nothing_else() -> None:
    assert _list_documented() == set(_CAUSES)


def test_the_app_records_nothing_that_the_page_doesnt_list() -> None:
    written = {
        name
        for path in _SOURCES.rglob("*.py")
        for call in re.findall(r"audit\.record\((.+?)[,)]", path.read_text(), re.DOTALL)
        for name in re.findall(r'"([\w.]+)"', call)
    }
    assert len(written) > 10
    assert written <= _list_documented()

"""RFC 8628, device authorization grant: what the server must do, shown over HTTP."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from oauth.models import DeviceGrant
from oauth.services import RegisteredClient, register_client
from tests.oauth.devices import DEVICE_CODE, PAGE, Device, get_error
from tests.oauth.flow import Flow, get_hidden

SECOND = timedelta(seconds=1)


@pytest.fixture
def box(device: Device) -> Device:
    """A confidential client on a device, of the same person."""
    client = register_client(
        name="Example box", client_type="confidential", grant_types=[DEVICE_CODE], allowed_scopes=["profile"]
    )
    return Device(Flow(client.application.client_id, client.client_secret), device.browser)


def wait(seconds: float = 5) -> None:
    """Let the time pass that a device has to wait."""
    DeviceGrant.objects.update(last_polled_at=timezone.now() - seconds * SECOND)


# --- Device authorization request and response


@pytest.mark.compliance("RFC 8628", "3.1", "a public client names itself; one that isn't known is refused")
def test_a_public_client_names_itself(device: Device) -> None:
    assert device.start().status_code == 200
    assert device.start(client_id=None).status_code == 401
    refused = device.start(client_id="nobody")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.compliance("Security", "B2", "a confidential client may authenticate by header alone")
@pytest.mark.compliance("RFC 8628", "3.1", "a confidential client authenticates, by header or body")
def test_a_confidential_client_authenticates(box: Device) -> None:
    assert box.start().status_code == 200
    client_id, secret = box.flow.client_id, box.flow.secret
    path = "/oauth/device-authorization"
    assert box.flow.post_anonymously(path, client_id=client_id, client_secret=secret).status_code == 200
    for wrong in (None, "wrong"):
        assert box.flow.post_anonymously(path, client_id=client_id, client_secret=wrong).status_code == 401


@pytest.mark.compliance("RFC 8628", "3.1", "scope is optional, and limited to what the client may ask for")
def test_scope_is_optional_and_limited(device: Device) -> None:
    assert device.get_tokens()["scope"] == "profile"
    assert device.get_tokens(scope="users:read")["scope"] == "users:read"
    assert get_error(device.start(scope="audit:read")) == "invalid_scope"


@pytest.mark.compliance("RFC 8628", "3.1", "a client that isn't registered for the grant is refused")
def test_a_client_of_other_grants_is_refused(flow: Flow) -> None:
    assert get_error(flow.post("/oauth/device-authorization")) == "unauthorized_client"


@pytest.mark.compliance("RFC 8628", "3.1", "empty parameters count as left out, unknown ones mean nothing")
def test_empty_and_unknown_parameters(device: Device) -> None:
    assert device.start(scope="", whatever="1").status_code == 200


@pytest.mark.compliance("RFC 8628", "3.1", "no parameter more than once")
def test_no_parameter_twice(device: Device) -> None:
    body = f"client_id={device.flow.client_id}&scope=profile&scope=users:read"
    response = device.flow.program.post(
        "/oauth/device-authorization", body, content_type="application/x-www-form-urlencoded"
    )
    assert get_error(response) == "invalid_request"


@pytest.mark.compliance("RFC 8628", "3.2", "the answer has its parts, as JSON with status 200, and no cache keeps it")
def test_the_answer_has_its_parts(device: Device) -> None:
    response = device.start()
    answer = response.json()
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert answer["verification_uri"] == f"{settings.BASE_URL}/oauth/device"
    assert answer["verification_uri_complete"] == f"{answer['verification_uri']}?user_code={answer['user_code']}"
    assert (answer["expires_in"], answer["interval"]) == (900, 5)
    assert set(answer) == {
        *("device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval")
    }


@pytest.mark.compliance("Security", "B13", "the metadata name the device endpoint")
@pytest.mark.compliance("RFC 8628", "4", "the metadata name the endpoint and the grant")
def test_the_metadata_name_the_endpoint(client: Client) -> None:
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert document["device_authorization_endpoint"] == f"{settings.BASE_URL}/oauth/device-authorization"
    assert DEVICE_CODE in document["grant_types_supported"]


# --- User interaction


@pytest.mark.compliance("RFC 8628", "3.3", "the person signs in, sees who asks for what, and approves or denies")
def test_the_person_sees_who_asks_for_what(device: Device) -> None:
    codes = device.get_codes(scope="profile roles:write")
    text = device.enter(codes["user_code"]).content.decode()
    assert "Example TV" in text
    assert "Create roles, and change who has which role" in text
    assert "person@example.com" in text


@pytest.mark.compliance("RFC 8628", "3.3", "nobody decides who isn't signed in")
def test_strangers_sign_in_first(device: Device) -> None:
    codes, stranger = device.get_codes(), Client()
    signed = get_hidden(device.enter(codes["user_code"]), "request")
    for response in (
        stranger.get(PAGE, {"user_code": codes["user_code"]}),
        stranger.post(PAGE, {"user_code": codes["user_code"]}),
        stranger.post(f"{PAGE}/decision", {"request": signed, "decision": "allow"}),
    ):
        assert response["Location"].startswith("/accounts/login/?next=/oauth/device")
    assert get_error(device.poll(codes["device_code"])) == "authorization_pending"


@pytest.mark.compliance("RFC 8628", "3.3.1", "a code in the address is filled in, and approves nothing by itself")
def test_a_code_in_the_address_is_only_filled_in(device: Device) -> None:
    codes = device.get_codes()
    page = device.browser.get(codes["verification_uri_complete"].removeprefix(settings.BASE_URL))
    assert f'value="{codes["user_code"]}"' in page.content.decode()
    assert "Example TV" not in page.content.decode()
    assert get_error(device.poll(codes["device_code"])) == "authorization_pending"


@pytest.mark.compliance("RFC 8628", "3.3.1", "the page shows the code, to be compared with what the device shows")
def test_the_page_shows_the_code(device: Device) -> None:
    code = device.get_codes()["user_code"]
    assert code in device.enter(code.lower().replace("-", " ")).content.decode()


# --- Device access token request and response


@pytest.mark.compliance("Security", "B2", "a missing device code is a bad request")
@pytest.mark.compliance("RFC 8628", "3.4", "device_code is required")
def test_the_device_code_is_required(device: Device) -> None:
    assert get_error(device.flow.post("/oauth/token", grant_type=DEVICE_CODE)) == "invalid_request"


@pytest.mark.compliance("Security", "B2", "nothing is told before the client has authenticated")
@pytest.mark.compliance("RFC 8628", "3.4", "a client that asks authenticates as it must, before anything is told")
def test_who_asks_authenticates_first(box: Device) -> None:
    allowed = box.get_allowed()["device_code"]
    form = {"grant_type": DEVICE_CODE, "client_id": box.flow.client_id}
    for device_code in (allowed, "unknown"):
        response = box.flow.post_anonymously("/oauth/token", device_code=device_code, **form)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert box.poll(allowed).status_code == 200


@pytest.mark.compliance("Security", "B1", "the device grant works from end to end")
@pytest.mark.compliance("RFC 8628", "3.5", "a device that was allowed gets tokens that work")
def test_an_allowed_device_gets_tokens(device: Device) -> None:
    tokens = device.get_tokens()
    assert tokens["token_type"] == "Bearer"
    assert device.flow.call_api(tokens["access_token"]) == 200
    assert device.flow.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.compliance("RFC 8628", "3.5", "authorization_pending until the person has decided")
def test_a_waiting_device_is_told_to_wait(device: Device) -> None:
    codes = device.get_codes()
    for _ in range(3):
        assert get_error(device.poll(codes["device_code"])) == "authorization_pending"
        wait()


@pytest.mark.compliance("Security", "B2", "who asks too often is told slow_down")
@pytest.mark.compliance("RFC 8628", "3.5", "slow_down lengthens the interval by 5 seconds for all later requests")
def test_a_hasty_device_is_slowed_down(device: Device) -> None:
    device_code = device.get_codes()["device_code"]
    assert get_error(device.poll(device_code)) == "authorization_pending"
    assert get_error(device.poll(device_code)) == "slow_down"
    wait(9)
    assert get_error(device.poll(device_code)) == "slow_down"  # it is 10 by now
    wait(15)
    assert get_error(device.poll(device_code)) == "authorization_pending"
    wait(14)
    assert get_error(device.poll(device_code)) == "slow_down"


@pytest.mark.compliance("RFC 8628", "3.5", "access_denied once the person said no")
def test_a_denied_device_is_told_so(device: Device) -> None:
    codes = device.get_codes()
    device.decide(codes["user_code"], "deny")
    for _ in range(2):
        assert get_error(device.poll(codes["device_code"])) == "access_denied"


@pytest.mark.compliance("Security", "B2", "a device code that nobody looked at expires, too")
@pytest.mark.parametrize("is_allowed", [False, True])
@pytest.mark.compliance("RFC 8628", "3.5", "expired_token once the code has expired, whatever was decided")
def test_an_expired_code_is_told_as_such(device: Device, is_allowed: bool) -> None:
    codes = device.get_allowed() if is_allowed else device.get_codes()
    DeviceGrant.objects.update(expires=timezone.now())
    for _ in range(2):
        assert get_error(device.poll(codes["device_code"])) == "expired_token"


@pytest.mark.compliance("Security", "B2", "an unknown device code is invalid_grant")
@pytest.mark.compliance("RFC 8628", "3.5", "an unknown code is invalid_grant (RFC 6749 §5.2)")
def test_an_unknown_code_is_an_invalid_grant(device: Device) -> None:
    assert get_error(device.poll("unknown")) == "invalid_grant"


@pytest.mark.compliance("Security", "B2", "a device code works once")
@pytest.mark.compliance("RFC 8628", "3.5", "a code gives tokens once")
def test_a_code_gives_tokens_once(device: Device) -> None:
    device_code = device.get_allowed()["device_code"]
    assert device.poll(device_code).status_code == 200
    assert get_error(device.poll(device_code)) == "invalid_grant"


# --- Security considerations


@pytest.mark.compliance("Security", "B2", "guesses at user codes are limited")
@pytest.mark.compliance("RFC 8628", "5.1", "guesses at user codes are limited, for each person")
def test_guesses_are_limited(device: Device) -> None:
    codes = device.get_codes()
    answers = [device.enter(f"BCDF-BCD{letter}") for letter in "BCDFGHJKLM"]
    assert {answer.status_code for answer in answers} == {200}
    refused = device.enter(codes["user_code"])
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "Example TV" not in refused.content.decode()


@pytest.mark.compliance("RFC 8628", "5.2", "a device code has more entropy than anybody can guess")
def test_device_codes_are_long_and_random(device: Device) -> None:
    codes = {device.get_codes()["device_code"] for _ in range(5)}
    assert len(codes) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", code) for code in codes)


@pytest.mark.compliance("Security", "B2", "a device code is bound to its client")
@pytest.mark.compliance("RFC 8628", "5.2", "a code is worth nothing to another client")
def test_another_client_gets_nothing_for_a_code(device: Device, box: Device) -> None:
    for codes in (device.get_codes(), device.get_allowed()):
        assert get_error(box.poll(codes["device_code"])) == "invalid_grant"
    assert device.poll(codes["device_code"]).status_code == 200


@pytest.mark.compliance("RFC 8628", "5.4", "the person is told to allow only a device in front of them, and from where")
def test_the_page_warns_of_remote_phishing(device: Device) -> None:
    codes = device.get_codes()
    text = device.enter(codes["user_code"]).content.decode()
    assert "on a device in front of you" in text
    assert "127.0.0.1 (the same address as yours)" in text
    DeviceGrant.objects.update(ip_address="203.0.113.7")
    text = device.enter(codes["user_code"]).content.decode()
    assert "203.0.113.7" in text
    assert "not your address" in text


@pytest.mark.compliance("RFC 8628", "6.1", "user codes are of 20 letters without vowels, 34 bits, in two groups")
def test_user_codes_are_easy_to_type(device: Device) -> None:
    codes = {device.get_codes()["user_code"] for _ in range(5)}
    assert len(codes) == 5
    assert all(re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", code) for code in codes)


@pytest.mark.compliance("Security", "B2", "however a user code is typed, it is the same")
@pytest.mark.compliance("RFC 8628", "6.1", "case, hyphens and spaces of a typed code mean nothing")
def test_codes_may_be_typed_as_one_likes(device: Device) -> None:
    code = device.get_codes()["user_code"]
    bare = code.replace("-", "")
    for typed in (code, code.lower(), bare, f"  {bare[:2]} {bare[2:]} ", f"{bare[:4]}\u2013{bare[4:]}", f"({code})"):
        assert "Example TV" in device.enter(typed).content.decode(), typed


@pytest.mark.compliance("RFC 6749", "3.2", "the device endpoint takes POST only, as a form, in the body")
def test_the_endpoint_takes_forms_only(device: Device, confidential: RegisteredClient) -> None:
    path, client_id = "/oauth/device-authorization", device.flow.client_id
    assert device.flow.program.get(path).status_code == 405
    assert device.flow.program.post(f"{path}?client_id={client_id}").status_code == 400
    json = device.flow.program.post(path, {"client_id": client_id}, content_type="application/json")
    assert get_error(json) == "invalid_request"

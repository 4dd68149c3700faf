"""RFC 6749 §2.3 and §3.2, how clients authenticate and how the token endpoint reads requests."""

from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.oauth.flow import FORM, Flow, basic

_GRANT = {"grant_type": "client_credentials", "scope": "users:read"}


def _post(body: str | bytes, **headers: str) -> tuple[int, str, str]:
    response = Client().post("/oauth/token", body, content_type=FORM, headers=headers)
    assert response["Cache-Control"] == "no-store"
    return response.status_code, response.json().get("error", ""), response.headers.get("WWW-Authenticate", "")


def _login(flow: Flow) -> tuple[str, str]:
    return flow.client_id, str(flow.secret)


@pytest.mark.compliance("Security", "D10", "the scheme has no case")
@pytest.mark.compliance("RFC 6749", "2.3.1", "HTTP Basic must be supported; the scheme has no case")
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_a_client_authenticates_by_header(service: Flow, scheme: str) -> None:
    header = basic(service.client_id, str(service.secret), scheme=scheme)
    assert _post(urlencode(_GRANT), Authorization=header)[0] == 200


@pytest.mark.compliance("RFC 6749", "2.3.1", "credentials in the body may be supported")
def test_a_client_authenticates_in_the_body(service: Flow) -> None:
    form = _GRANT | {"client_id": service.client_id, "client_secret": str(service.secret)}
    assert _post(urlencode(form))[0] == 200


@pytest.mark.compliance("RFC 6749", "2.3.1", "id and secret are form-encoded in the header")
def test_the_parts_of_the_header_are_decoded(service: Flow) -> None:
    encoded_id, encoded_secret = ("".join(f"%{ord(c):02x}" for c in text) for text in _login(service))
    assert _post(urlencode(_GRANT), Authorization=basic(encoded_id, encoded_secret))[0] == 200


@pytest.mark.compliance("Security", "D10", "wrong credentials in the header aren't made good by right ones in the body")
@pytest.mark.compliance("RFC 6749", "2.3", "a client must not use more than one method in a request")
def test_two_methods_at_once_are_refused_even_if_one_is_right(service: Flow) -> None:
    form = _GRANT | {"client_id": service.client_id, "client_secret": str(service.secret)}
    for header in (basic(service.client_id, "wrong"), basic(service.client_id, str(service.secret))):
        assert _post(urlencode(form), Authorization=header)[:2] == (400, "invalid_request")


@pytest.mark.compliance("RFC 6749", "3.2.1", "the client id in the body must be that of the header")
def test_two_different_client_ids_are_refused(service: Flow, flow: Flow) -> None:
    header = basic(service.client_id, str(service.secret))
    assert _post(urlencode(_GRANT | {"client_id": flow.client_id}), Authorization=header)[:2] == (
        400,
        "invalid_request",
    )


@pytest.mark.compliance("Security", "B12", "the challenge names Basic")
@pytest.mark.compliance("Security", "D10", "the challenge names Basic")
@pytest.mark.compliance(
    "RFC 6749", "5.2", "failed authentication is a 401 with a challenge of the scheme that was used"
)
@pytest.mark.parametrize(
    "header",
    [
        "Basic bm9ib2R5Ondyb25n",
        "Basic !!!",
        "Basic",
        "Basic /w==",
        "Basic bm9jb2xvbg==",
        "Bearer abc",
        "Digest x",
        basic("a\x00b", "c"),
        basic("%ff", "%00"),
        basic("", ""),
    ],
)
@pytest.mark.django_db
def test_a_bad_header_is_challenged(header: str) -> None:
    status, error, challenge = _post(urlencode(_GRANT), Authorization=header)
    assert (status, error) == (401, "invalid_client")
    assert challenge.startswith("Basic ")


@pytest.mark.compliance("RFC 6749", "5.2", "a wrong, missing or empty secret is invalid_client")
@pytest.mark.parametrize("secret", ["wrong", "", None, "client_secret$keyed$0"])
def test_a_wrong_secret_is_refused(service: Flow, secret: str | None) -> None:
    form = _GRANT | {"client_id": service.client_id} | ({} if secret is None else {"client_secret": secret})
    assert _post(urlencode(form))[:2] == (401, "invalid_client")


@pytest.mark.compliance("Security", "D11", "a parameter that is there twice is refused")
@pytest.mark.compliance("RFC 6749", "3.2", "parameters must not be included more than once")
@pytest.mark.parametrize("name", ["grant_type", "scope", "client_id", "client_secret", "code", "unheard"])
def test_a_repeated_parameter_is_refused(service: Flow, name: str) -> None:
    header = basic(service.client_id, str(service.secret))
    assert _post(f"{urlencode(_GRANT)}&{name}=1&{name}=2", Authorization=header)[:2] == (400, "invalid_request")


@pytest.mark.compliance("RFC 6749", "3.2", "parameters without a value are treated as left out")
def test_an_empty_parameter_counts_as_left_out(service: Flow) -> None:
    header = basic(service.client_id, str(service.secret))
    assert _post(f"{urlencode(_GRANT)}&client_id=&client_secret=&code=", Authorization=header)[0] == 200


@pytest.mark.compliance("Security", "D12", "a NUL is no error of the server")
@pytest.mark.compliance("RFC 6749", "3.2", "unrecognized parameters must be ignored")
def test_an_unknown_parameter_changes_nothing(service: Flow) -> None:
    header = basic(service.client_id, str(service.secret))
    assert _post(f"{urlencode(_GRANT)}&unheard=1&username=x&user_id=1", Authorization=header)[0] == 200


@pytest.mark.compliance("RFC 6749", "B", "parameters are UTF-8 text")
@pytest.mark.parametrize("value", ["%00", "a%00b", "%ff", "%ed%a0%80", b"\xff", "%c0%80"])
@pytest.mark.parametrize(
    "name", ["code", "client_id", "scope", "refresh_token", "grant_type", "state", "client_secret"]
)
@pytest.mark.django_db
def test_what_is_no_text_is_refused(name: str, value: str | bytes) -> None:
    body = f"x=y&{name}=".encode() + (value.encode() if isinstance(value, str) else value)
    assert _post(body)[:2] == (400, "invalid_request")


@pytest.mark.compliance(
    "RFC 6749", "5.2", "an unknown grant type is unsupported_grant_type, a missing one a bad request"
)
@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        ("", "invalid_request"),
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("openid", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:token-exchange", "unsupported_grant_type"),
        ("__class__", "unsupported_grant_type"),
    ],
)
@pytest.mark.django_db
def test_other_grant_types_are_refused(grant_type: str, error: str) -> None:
    form = {"grant_type": grant_type, "username": "a", "password": "b", "client_id": "x"}
    assert _post(urlencode(form))[:2] == (400, error)


@pytest.mark.compliance("RFC 6749", "3.2", "the token endpoint takes POST")
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
@pytest.mark.django_db
def test_other_methods_are_refused(path: str, method: str) -> None:
    response = getattr(Client(), method)(path)
    assert response.status_code == 405
    assert "POST" in response["Allow"]


@pytest.mark.compliance("RFC 6749", "3.2", "parameters are sent as a form, not in the address")
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
@pytest.mark.parametrize(
    ("query", "content_type"),
    [("?grant_type=client_credentials", FORM), ("", "application/json"), ("", "multipart/form-data"), ("", "")],
)
def test_what_is_no_plain_form_is_refused(service: Flow, path: str, query: str, content_type: str) -> None:
    body = urlencode(_GRANT | {"token": "x", "client_id": service.client_id, "client_secret": str(service.secret)})
    response = Client().generic("POST", path + query, body, content_type=content_type)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.compliance("RFC 6749", "3.2", "a form that can't be read is a bad request")
@pytest.mark.django_db
def test_another_encoding_is_refused() -> None:
    response = Client().generic("POST", "/oauth/token", "grant_type=x", content_type=f"{FORM}; charset=utf-16")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.compliance("RFC 6749", "3.2", "a form that can't be read is a bad request")
@pytest.mark.django_db
def test_a_form_of_thousands_of_fields_is_refused() -> None:
    assert _post("&".join(f"f{number}=1" for number in range(2000)))[:2] == (400, "invalid_request")


@pytest.mark.compliance("RFC 6749", "3.2.1", "a public client names itself by its id alone")
def test_a_public_client_that_sends_a_secret_is_refused(flow: Flow) -> None:
    response = flow.exchange(flow.get_code(), client_secret="anything")
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


@pytest.mark.compliance("RFC 9700", "2.5", "who has a secret must use it")
@pytest.mark.compliance("RFC 6749", "3.2.1", "a confidential client must authenticate at the code exchange")
def test_a_confidential_client_cannot_pass_for_a_public_one(web: Flow) -> None:
    response = web.post_anonymously(
        "/oauth/token",
        grant_type="authorization_code",
        client_id=web.client_id,
        code=web.get_code(),
    )
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")

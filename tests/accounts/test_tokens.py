import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from pytest_django import Settings

from accounts import keys, selectors, tokens
from accounts.exceptions import InvalidToken
from accounts.models import Revocation, SigningKey
from project.crypto import derive_keys
from tests.accounts.conftest import NOW, Issue

pytestmark = pytest.mark.django_db

SUBJECT = str(uuid4())


def encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decode(part: str) -> dict[str, Any]:  # Any: JSON
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))  # Any: JSON
    return decoded


def issue(**options: Any) -> str:  # Any: whatever the test changes
    values: dict[str, Any] = {  # Any: as above
        "subject": SUBJECT,
        "client_id": "gatehouse",
        "now": NOW,
        "lifetime": timedelta(minutes=10),
    }
    return tokens.issue_access_token(**(values | options))


def sign(claims: object, **header: object) -> str:
    """Sign with the real key whatever claims and header a test wants; a member that is None is left out."""
    signer = keys.get_active_key()
    head = {"alg": "ES256", "typ": "at+jwt", "kid": signer.kid} | header
    signed = f"{encode({name: value for name, value in head.items() if value is not None})}.{encode(claims)}"
    signature = jws.JWSRegistry(algorithms=["ES256"]).get_alg("ES256").sign(signed.encode(), signer.key)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims_of(raw: str) -> dict[str, Any]:  # Any: JSON
    return decode(raw.split(".")[1])


def is_refused(raw: str, now: datetime = NOW) -> bool:
    try:
        tokens.read_access_token(raw, now=now)
    except InvalidToken:
        return True
    return False


def test_a_token_says_what_it_was_issued_with() -> None:
    session_id = uuid4()
    raw = issue(session_id=session_id, scope=["users:read", "profile"], jti=session_id)
    claims = tokens.read_access_token(raw, now=NOW)
    assert (claims.subject, claims.client_id, claims.session_id) == (SUBJECT, "gatehouse", session_id)
    assert (claims.jti, claims.scope) == (str(session_id), frozenset({"profile", "users:read"}))
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + timedelta(minutes=10))


def test_a_first_party_token_has_no_scope_claim() -> None:
    raw = issue()
    assert "scope" not in claims_of(raw)
    assert tokens.read_access_token(raw, now=NOW).scope is None


@pytest.mark.compliance("RFC 9068", "2.1", "The header has typ at+jwt and an asymmetric alg")
def test_the_header_has_type_algorithm_and_key_id_and_nothing_else() -> None:
    header = decode(issue().split(".")[0])
    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": keys.get_active_key().kid}


@pytest.mark.compliance("ASVS 5.0", "9.2.4", "Each token names the audience that it is for")
@pytest.mark.compliance("RFC 9068", "2.2", "iss, exp, aud, sub, client_id, iat and jti are present")
def test_the_claims_are_those_of_rfc_9068(settings: Settings) -> None:
    claims = claims_of(issue())
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(claims)
    assert claims["iss"] == claims["aud"] == settings.BASE_URL
    assert isinstance(claims["iat"], int)


def test_a_token_holds_no_name_address_role_or_permission() -> None:
    assert set(claims_of(issue())) == {"iss", "aud", "sub", "client_id", "jti", "iat", "iat_us", "exp"}


def test_each_token_has_an_id_of_its_own() -> None:
    assert claims_of(issue())["jti"] != claims_of(issue())["jti"]


@pytest.mark.compliance("ASVS 5.0", "9.2.1", "A token is accepted within its time span alone")
def test_a_token_is_good_until_it_expires_and_not_at_that_instant() -> None:
    raw = issue()
    assert not is_refused(raw, NOW + timedelta(minutes=10) - timedelta(microseconds=1))
    assert is_refused(raw, NOW + timedelta(minutes=10))


def test_a_token_from_a_clock_far_ahead_is_refused() -> None:
    raw = issue()
    assert not is_refused(raw, NOW - timedelta(seconds=4))
    assert is_refused(raw, NOW - timedelta(minutes=1))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "sub", "client_id", "jti"])
def test_a_token_without_a_required_claim_is_refused(name: str) -> None:
    claims = claims_of(issue())
    del claims[name], claims["iat_us"]
    assert is_refused(sign(claims))


@pytest.mark.compliance("ASVS 5.0", "9.2.3", "A token for another audience is refused")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "https://evil.example"),
        ("aud", "https://other.example"),
        ("aud", ["https://other.example"]),
        ("aud", {"http://testserver": 1}),
        ("sub", 7),
        ("sub", ""),
        ("sub", None),
        ("client_id", ["gatehouse"]),
        ("jti", 1.5),
        ("exp", "9999999999"),
        ("exp", True),
        ("exp", 1e300),
        ("exp", 10**30),
        ("exp", -(10**30)),
        ("iat", None),
        ("iat", "now"),
        ("iat_us", 10**40),
        ("iat_us", "x"),
        ("sid", "not-a-uuid"),
        ("sid", 5),
        ("scope", ["profile"]),
    ],
)
def test_a_claim_of_the_wrong_value_or_type_is_refused(name: str, value: object) -> None:
    assert is_refused(sign(claims_of(issue()) | {name: value}))


def test_a_token_that_was_good_is_refused_once_the_house_has_another_name(settings: Settings) -> None:
    raw = issue()
    assert tokens.read_access_token(raw, now=NOW, is_for_us=False).subject == SUBJECT
    settings.BASE_URL = "https://other.example"
    with pytest.raises(InvalidToken):
        tokens.read_access_token(raw, now=NOW, is_for_us=False)


def test_an_audience_list_that_names_us_is_accepted(settings: Settings) -> None:
    raw = sign(claims_of(issue()) | {"aud": ["https://other.example", settings.BASE_URL]})
    assert not is_refused(raw)


@pytest.mark.compliance("Security", "JW03", "a header that names a key, or where to get one, is not read")
@pytest.mark.compliance("Security", "JW04", "a header with unknown members or another type is refused")
@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": ["at+jwt"]},
        {"kid": None},
        {"kid": 5},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "https://evil.example/key"},
        {"kid": "A" * 43},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"jwk": {"kty": "EC"}},
        {"cty": "JWT"},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"crit": []},
        {"crit": ["exp"]},
        {"crit": ["x"], "x": 1},
        {"zip": "DEF"},
    ],
)
def test_a_header_with_anything_unexpected_is_refused(header: dict[str, object]) -> None:
    claims = claims_of(issue())
    assert not is_refused(sign(claims))
    assert is_refused(sign(claims, **header))


@pytest.mark.compliance("ASVS 5.0", "9.2.2", "A token is accepted for the purpose of its type alone")
@pytest.mark.compliance("Security", "JW04", "a signed token of another type opens nothing")
def test_a_correctly_signed_token_of_another_type_is_refused() -> None:
    assert is_refused(sign(claims_of(issue()), typ="JWT"))


@pytest.mark.compliance("ASVS 5.0", "9.1.3", "Keys come from our own set, never from the token")
@pytest.mark.compliance("Security", "JW03", "a key that comes with the token verifies nothing")
def test_a_key_that_the_token_brings_along_is_not_honoured() -> None:
    own = ECKey.generate_key("P-256", auto_kid=True)
    header = {"alg": "ES256", "typ": "at+jwt", "kid": own.thumbprint(), "jwk": own.as_dict(private=False)}
    assert is_refused(jwt.encode(header, claims_of(issue()), own, algorithms=["ES256"]))


@pytest.mark.compliance("ASVS 5.0", "9.1.2", "Algorithms come from an allow-list, never none")
@pytest.mark.compliance("Security", "JW01", "a token without algorithm or signature opens nothing")
@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES384", "EdDSA", "A128GCM"]
)
def test_any_algorithm_but_our_own_is_refused(algorithm: str) -> None:
    head, payload, signature = issue().split(".")
    forged = encode(decode(head) | {"alg": algorithm})
    assert is_refused(f"{forged}.{payload}.{signature}")
    assert is_refused(f"{forged}.{payload}.")


@pytest.mark.compliance("Security", "JW01", "a token whose signature is missing or made of zeros opens nothing")
@pytest.mark.parametrize("signature", [None, b"", bytes(64), bytes(63) + b"\x01", b"\x01" * 64])
def test_a_token_without_a_signature_is_refused(signature: bytes | None) -> None:
    parts = issue().split(".")[:2]
    if signature is not None:
        parts.append(base64.urlsafe_b64encode(signature).rstrip(b"=").decode())
    assert is_refused(".".join(parts))


@pytest.mark.compliance("Security", "JW04", "a token within a token opens nothing")
@pytest.mark.parametrize("header", [{}, {"cty": "JWT"}])
def test_a_token_in_a_token_is_refused(header: dict[str, object]) -> None:
    inner = issue()
    assert is_refused(sign(inner, **header))
    assert is_refused(sign({"jwt": inner}, **header))


@pytest.mark.compliance(
    "Security", "JW12", "who knows SECRET_KEY alone has no key that signs: keys don't follow from it"
)
def test_keys_do_not_follow_from_the_secret_key() -> None:
    before, first = issue(), keys.get_active_key().kid
    SigningKey.objects.all().delete()
    keys.forget_keys()
    assert keys.get_active_key().kid != first
    assert is_refused(before)


@pytest.mark.compliance("Security", "JW12", "a token that is signed with SECRET_KEY opens nothing")
def test_a_token_signed_with_the_secret_key_is_refused(settings: Settings) -> None:
    head, payload, _ = issue().split(".")
    forged = f"{encode(decode(head) | {'alg': 'HS256'})}.{payload}"
    secret = settings.SECRET_KEY.encode()
    for key in (secret, hashlib.sha256(secret).digest(), *derive_keys("signing-key")):
        mac = hmac.new(key, forged.encode(), hashlib.sha256).digest()
        assert is_refused(f"{forged}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def public_forms() -> Iterator[bytes]:
    """Yield what a confused verifier could take for an HMAC secret."""
    key = keys.get_active_key().key
    pem = key.as_pem(private=False)
    yield from (pem, pem.strip(), pem.replace(b"\n", b"\r\n"), pem.replace(b"\n", b""), key.as_der(private=False))
    yield from (json.dumps(key.as_dict(private=False)).encode(), b"", b"secret")


@pytest.mark.compliance("Security", "JW02", "a token signed with the public key as a secret opens nothing")
def test_a_token_signed_with_the_public_key_as_hmac_secret_is_refused() -> None:
    head, payload, _ = issue().split(".")
    forged = f"{encode(decode(head) | {'alg': 'HS256'})}.{payload}"
    for secret in public_forms():
        mac = hmac.new(secret, forged.encode(), hashlib.sha256).digest()
        assert is_refused(f"{forged}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


@pytest.mark.compliance("Security", "JW04", "an encrypted token opens nothing")
def test_an_encrypted_token_is_refused() -> None:
    from joserfc import jwe  # noqa: PLC0415 - this test alone

    key = OctKey.generate_key(128)
    registry = jwe.JWERegistry(algorithms=["dir", "A128GCM"])
    raw = jwe.encrypt_compact({"alg": "dir", "enc": "A128GCM", "typ": "at+jwt"}, b"{}", key, registry=registry)
    assert is_refused(raw)


@pytest.mark.compliance("ASVS 5.0", "9.1.1", "A token is verified by its signature before its content is used")
def test_a_changed_claim_breaks_the_signature() -> None:
    head, payload, signature = issue().split(".")
    assert is_refused(".".join([head, encode(decode(payload) | {"sub": str(uuid4())}), signature]))


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(st.text(), st.text("eyJ.-_=AQ0+/", max_size=60), st.from_regex(r"[\w-]{0,80}(\.[\w-]{0,80}){0,4}"))
)
@example("")
@example("..")
@example("\x00")
@example("\ud800.\ud800.\ud800")
@example("a" * 100_000)
@example(f"{base64.urlsafe_b64encode(b'[' * 300).decode()}.e30.e30")
@example(f"{base64.urlsafe_b64encode(b'["alg"]').decode()}.e30.e30")
def test_garbage_is_refused_and_nothing_worse(raw: str) -> None:
    assert is_refused(raw)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 700), character=st.sampled_from("Aa0-_.=\x00é"))
def test_a_token_with_one_character_changed_is_refused(position: int, character: str) -> None:
    raw = issue()
    position %= len(raw)
    changed = raw[:position] + character + raw[position + 1 :]
    assert changed == raw or is_refused(changed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["sub", "client_id", "jti", "iat", "iat_us", "exp", "sid", "scope", "aud"]), value=json_values
)
def test_a_signed_token_with_any_value_in_a_claim_is_read_or_refused(name: str, value: object) -> None:
    raw = sign(claims_of(issue()) | {name: value})
    assert is_refused(raw) in {True, False}


def test_a_revocation_is_written_once_and_only_moves_forward() -> None:
    later = NOW + timedelta(hours=1)
    for instant in (NOW, later, NOW):
        tokens.revoke_access_tokens(kind="sub", subject=SUBJECT, now=instant, expires_at=instant + timedelta(hours=1))
    row = Revocation.objects.get()
    assert (row.revoked_at, row.expires_at) == (later, later + timedelta(hours=1))


@pytest.mark.parametrize(
    ("kind", "issued_after", "expected"),
    [
        ("jti", 0, True),
        ("sid", 0, True),
        ("sid", 1, True),
        ("sub", 0, True),
        ("sub", 1, False),
        ("client", 0, True),
        ("client", 1, False),
    ],
)
def test_a_revocation_meets_the_tokens_issued_up_to_it(kind: str, issued_after: int, expected: bool) -> None:
    session_id, jti = uuid4(), uuid4()
    raw = issue(session_id=session_id, jti=jti, now=NOW + timedelta(microseconds=issued_after))
    subjects = {"jti": str(jti), "sid": str(session_id), "sub": SUBJECT, "client": "gatehouse"}
    Revocation.objects.create(kind=kind, subject=subjects[kind], revoked_at=NOW, expires_at=NOW)
    claims = tokens.read_access_token(raw, now=NOW)
    assert selectors.is_token_revoked(claims=claims) is expected


def test_a_revocation_of_others_leaves_a_token_alone(issue: Issue) -> None:
    claims = tokens.read_access_token(issue(SUBJECT), now=datetime.now(UTC))
    for kind in ("jti", "sid", "sub", "client"):
        Revocation.objects.create(kind=kind, subject=str(uuid4()), revoked_at=NOW, expires_at=NOW)
    assert not selectors.is_token_revoked(claims=claims)

"""What both sides measure alike, each in a process of its own with its own settings."""

import base64
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.load import HOST

EMAIL = "person@example.com"
REDIRECT_URI = "https://client.example/callback"
VERIFIER = "dBjftJeZ4CVP-mBWqVqyN_4gzq8xjwqrVUSUfXNPxyz"
CHALLENGE = "MNrOw0OVHeWwlbu6pB3kdKzCUAG7SmLMb7dTdpZDjdA"  # S256 of the verifier


def make_client(**headers: str) -> Client:
    """Return a client as the proxy in front would come."""
    return Client(headers={"host": HOST, "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1", **headers})


def count_queries(action: Callable[[], object]) -> int:
    """Return how many statements an action sends, with those that begin and end transactions."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


def build_login(client_id: str, secret: str) -> str:
    """Return an Authorization header."""
    return f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"


def post(path: str, login: str, **form: str) -> dict[str, str]:
    """Post a form as a client does."""
    client = make_client(authorization=login)
    response = client.post(path, urlencode(form), content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200, response.content  # noqa: S101 - a refused request costs less
    answer: dict[str, str] = response.json()
    return answer


def build_authorization(client_id: str, scope: str) -> dict[str, str]:
    """Return the parameters of an authorization request."""
    return {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": scope,
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


def read_code(location: str) -> str:
    """Return the code that a redirect carries."""
    return parse_qs(urlsplit(location).query)["code"][0]


def count_grants(token_path: str, login: str, code: str) -> dict[str, int]:
    """Return the statements of exchanging a code with an ID token, and of refreshing."""
    found: dict[str, dict[str, str]] = {}

    def exchange() -> None:
        found["first"] = post(
            token_path, login, grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI,
            code_verifier=VERIFIER,
        )  # fmt: skip

    def refresh() -> None:
        refresh_token = found["first"]["refresh_token"]
        found["second"] = post(token_path, login, grant_type="refresh_token", refresh_token=refresh_token)

    counts = {"code": count_queries(exchange), "refresh": count_queries(refresh)}
    assert "id_token" in found["first"], found["first"].keys()  # noqa: S101 - as above
    return counts

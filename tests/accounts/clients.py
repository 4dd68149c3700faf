"""Clients of the API of accounts, and what they say again and again."""

from rest_framework.test import APIClient

from accounts.services import TokenPair
from tests.accounts.conftest import PASSWORD, ApiResponse

AUTH = "/api/v1/auth"
NEW_PASSWORD = "another correct horse battery"
#: Of people and of clients: with an accent, from right to left, with a joiner in it, and with a wide space.
PLAIN_NAMES = ["Zoë O'Brien-Łuk", "שרה כהן", "می\u200cنو", "山田\u3000太郎"]
#: They turn the text round that follows, end the line, or hide letters.
MISLEADING_NAMES = ["Pat \u202edekcehc", "Pat\u2067", "Pat\nGatehouse", "Pat\u200bGatehouse", "\u200d", "Pat\u2028x"]


def as_holder(access_token: str) -> APIClient:
    """Return a client with an access token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access_token}")
    return client


def log_in(client: APIClient, email: str, password: str = PASSWORD, **more: object) -> ApiResponse:
    return client.post(f"{AUTH}/login", {"email": email, "password": password, **more})


def is_open(access_token: str) -> bool:
    """Say whether an access token opens anything."""
    response = as_holder(access_token).get(f"{AUTH}/me")
    assert response.status_code in {200, 401}
    return response.status_code == 200


def is_refreshed(refresh_token: str) -> bool:
    """Say whether a refresh token gives another pair."""
    response = APIClient().post(f"{AUTH}/refresh", {"refresh_token": refresh_token})
    assert response.status_code in {200, 401}
    return response.status_code == 200


def is_alive(pair: TokenPair) -> bool:
    """Say whether both tokens of a pair are; they die together."""
    answers = {is_open(pair.access_token), is_refreshed(pair.refresh_token)}
    assert len(answers) == 1, "half of the pair is alive"
    return answers.pop()


def read_problem(response: ApiResponse) -> tuple[int, str]:
    """Return status and code of a problem."""
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    return response.status_code, response.json()["code"]

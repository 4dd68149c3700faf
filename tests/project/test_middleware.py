"""What every request meets."""

from django.test import Client


def test_a_harmless_request_id_of_a_proxy_is_kept(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "abcDEF-12345"})
    assert response["X-Request-ID"] == "abcDEF-12345"


def test_a_request_id_with_control_characters_is_replaced(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "evil\x1b[31m-12345678"})
    assert "evil" not in response["X-Request-ID"]


def test_a_body_over_the_limit_is_refused_with_413_before_it_is_read(client: Client) -> None:
    response = client.post("/api/v1/auth/login", data=b"x" * 1_000_001, content_type="application/json")
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"

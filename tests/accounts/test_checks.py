"""Promises of docs/accounts.md that a setting could break are found at the start."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

DAY = 24 * 3600
BOUNDS = {
    "ACCESS_TOKEN_SECONDS": (1, 600),
    "REFRESH_GRACE_SECONDS": (0, 60),
    "REAUTHENTICATION_SECONDS": (1, 300),
    "EMAIL_VERIFICATION_SECONDS": (1, DAY),
    "EMAIL_CHANGE_SECONDS": (1, DAY),
    "PASSWORD_RESET_SECONDS": (1, DAY),
    "PASSWORD_MINIMUM_LENGTH": (15, 256),
    "REFRESH_IDLE_SECONDS": (1, None),
    "BROWSER_IDLE_SECONDS": (1, None),
    "SESSION_ABSOLUTE_SECONDS": (1, None),
    "ENDED_SESSION_SECONDS": (1, None),
    "UNVERIFIED_ACCOUNT_SECONDS": (DAY, None),
}


def find(settings: Settings, name: str, value: object) -> list[str]:
    settings.ACCOUNTS = settings.ACCOUNTS | {name: value}
    return [f"{one.id} {one.msg} {one.hint}" for one in run_checks(tags=["accounts"])]


def test_our_settings_pass() -> None:
    assert run_checks(tags=["accounts"]) == []


@pytest.mark.parametrize(("name", "bounds"), BOUNDS.items())
def test_a_number_within_what_is_promised_passes(settings: Settings, name: str, bounds: tuple[int, int | None]) -> None:
    least, most = bounds
    assert find(settings, name, least) == find(settings, name, most or 10 * 365 * DAY) == []


@pytest.mark.parametrize(("name", "bounds"), BOUNDS.items())
def test_a_number_that_breaks_a_promise_is_found_and_told_the_way_out(
    settings: Settings, name: str, bounds: tuple[int, int | None]
) -> None:
    least, most = bounds
    wrong: list[object] = [least - 1, str(least), None] + ([] if most is None else [most + 1])
    for value in wrong:
        said = f'accounts.E005 ACCOUNTS["{name}"] is {value!r}, but '
        way_out = f"Set it to a whole number, at least {least}" + ("." if most is None else f" and at most {most}.")
        (found,) = find(settings, name, value)
        assert (found.startswith(said), found.endswith(way_out)) == (True, True)


@pytest.mark.parametrize("algorithms", [(), ("ES256",), ("RS256", "HS256"), ("RS256", "none")])
def test_algorithms_that_clients_cannot_count_on_are_found(settings: Settings, algorithms: tuple[str, ...]) -> None:
    (found,) = find(settings, "ID_TOKEN_ALGORITHMS", algorithms)
    assert found.startswith("accounts.E006 ")


def test_fewer_algorithms_pass(settings: Settings) -> None:
    assert find(settings, "ID_TOKEN_ALGORITHMS", ("RS256",)) == []

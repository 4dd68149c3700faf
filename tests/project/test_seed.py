"""The first data of an installation."""

import json
import stat

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from pytest_django import Settings

from project.seed import Credentials, credentials_path, read_credentials, seed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings.VAR_DIR = tmp_path_factory.mktemp("var")


def stored() -> Credentials:
    return read_credentials(credentials_path())


def test_seeding_twice_changes_nothing() -> None:
    first = seed()
    assert seed() == first == stored()


def test_the_file_is_for_its_owner_only() -> None:
    seed()
    assert stat.S_IMODE(credentials_path().stat().st_mode) == 0o600


def test_the_seeded_users_have_their_roles_and_passwords() -> None:
    for login in seed().users:
        user = get_user_model().objects.get(email=login.email)
        assert user.check_password(login.password)
        assert user.get_role_names() == login.roles


def test_a_password_of_the_environment_overrides(settings: Settings) -> None:
    seed()
    settings.SEED_PASSWORD = "one for all of them"
    assert {user.password for user in seed().users} == {"one for all of them"}
    assert all(user.check_password("one for all of them") for user in get_user_model().objects.all())


def test_a_lost_file_is_made_anew_with_credentials_that_work() -> None:
    before = seed()
    credentials_path().unlink()
    after = seed()
    user = get_user_model().objects.get(email=after.users[0].email)
    assert user.check_password(after.users[0].password)
    assert [client.client_id for client in after.clients] == [client.client_id for client in before.clients]
    assert [client.client_secret is None for client in after.clients] == [True, False]


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_made() -> None:
    credentials_path().write_text("{}")
    with pytest.raises(ValueError, match="cannot be understood"):
        seed()
    assert not get_user_model().objects.exists()


def test_in_production_only_the_roles_are_made(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.DEV_PAGES = False
    call_command("db_seed")
    assert not get_user_model().objects.exists()
    assert "createsuperuser" in capsys.readouterr().out


def test_in_production_the_json_holds_nobody(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.DEV_PAGES = False
    call_command("db_seed", json=True)
    assert json.loads(capsys.readouterr().out) == {"users": [], "clients": []}


def test_the_command_prints_the_credentials_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("db_seed", json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(credentials_path().read_text())


def test_a_reset_without_a_terminal_deletes_nothing() -> None:
    seed()
    with pytest.raises(Exception, match="--no-input"):
        call_command("db_reset")
    assert get_user_model().objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_reset_deletes_all_and_seeds_anew() -> None:
    before = seed()
    get_user_model().objects.create_user("somebody@example.com")
    call_command("db_reset", no_input=True)
    assert get_user_model().objects.count() == 3
    assert stored().users[0].password != before.users[0].password

"""Mail of a development installation, in files and at ``/dev/mail``."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.mail import EmailMessage, send_mail
from django.test import Client, override_settings

from project.devmail import accept_address, read_mails, read_refused, refuse_address

JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of an installation whose mail stays here."""
    mailer = {"BACKEND": "project.devmail.FileEmailBackend", "OPTIONS": {"file_path": str(tmp_path / "mail")}}
    with override_settings(MAILERS={"default": mailer}, BASE_URL="http://house.test"):
        yield tmp_path / "mail"


def send(to: str = "ada@example.com", subject: str = "Hello", body: str = "Welcome in.") -> None:
    send_mail(subject, body, None, [to])


def test_each_message_becomes_a_file_of_its_own(folder: Path) -> None:
    send()
    send()
    assert len(list(folder.glob("*.eml"))) == 2


def test_mails_are_read_newest_first_with_what_they_say(folder: Path) -> None:
    send(subject="First")
    send(to="Bo Möller <bo@example.com>", subject="Zweite mit Umlaut ü", body="Grüße")
    newest, oldest = read_mails(folder)
    assert (newest.subject, newest.body, oldest.subject) == ("Zweite mit Umlaut ü", "Grüße", "First")
    assert "bo@example.com" in newest.to
    assert newest.date is not None


def test_mails_to_one_address_are_found_whatever_its_case(folder: Path) -> None:
    send(to="Ada@Example.com")
    send(to="ada@example.com.evil.test")
    assert [mail.to for mail in read_mails(folder, to="ada@example.COM")] == ["Ada@Example.com"]


def test_mail_to_a_refused_address_fails_for_good(folder: Path) -> None:
    refuse_address(folder, address="Ada@example.com")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        send(to="Ada <ada@example.com>")
    assert [code for code, _text in refusal.value.recipients.values()] == [550]
    assert read_mails(folder) == []


def test_mail_to_somebody_else_still_arrives(folder: Path) -> None:
    refuse_address(folder, address="ada@example.com")
    EmailMessage("Both", "…", None, ["ada@example.com", "bo@example.com"]).send()
    assert len(read_mails(folder)) == 1


def test_an_accepted_address_gets_mail_again(folder: Path) -> None:
    refuse_address(folder, address="ada@example.com")
    accept_address(folder, address="ADA@example.com")
    send()
    assert read_refused(folder) == []
    assert len(read_mails(folder)) == 1


def test_the_page_shows_a_mail_as_text(client: Client) -> None:
    send(body="<b>bold</b>")
    assert "&lt;b&gt;bold&lt;/b&gt;" in client.get("/dev/mail").content.decode()


def test_the_page_links_addresses_of_this_house_only(client: Client) -> None:
    send(body="Go to http://house.test/verify?a=1&b=2. Not http://house.test.evil.test/x nor https://evil.test/")
    page = client.get("/dev/mail").content.decode()
    assert '<a href="http://house.test/verify?a=1&amp;b=2">http://house.test/verify?a=1&amp;b=2</a>.' in page
    assert 'href="http://house.test.evil' not in page
    assert 'href="https://evil.test' not in page


def test_the_page_tells_a_program_the_same_as_json(client: Client, folder: Path) -> None:
    send(to="bo@example.com")
    send(to="ada@example.com", subject="Yours")
    refuse_address(folder, address="eve@example.com")
    answer = client.get("/dev/mail?to=ada@example.com", headers=JSON).json()
    assert [(m["to"], m["subject"], m["body"]) for m in answer["messages"]] == [
        ("ada@example.com", "Yours", "Welcome in.")
    ]
    assert answer["refused"] == ["eve@example.com"]


def test_a_person_refuses_and_accepts_an_address_by_form(client: Client, folder: Path) -> None:
    client.post("/dev/mail", {"address": "ada@example.com", "action": "refuse"})
    assert read_refused(folder) == ["ada@example.com"]
    client.post("/dev/mail", {"address": "ada@example.com", "action": "accept"})
    assert read_refused(folder) == []


def test_an_address_that_is_none_is_answered_with_400_and_the_reason(client: Client, folder: Path) -> None:
    response = client.post("/dev/mail", {"address": "no address", "action": "refuse"})
    assert response.status_code == 400
    assert "Enter a valid email address" in response.content.decode()
    assert read_refused(folder) == []


def test_a_post_without_the_token_of_the_page_changes_nothing(folder: Path) -> None:
    response = Client(enforce_csrf_checks=True).post("/dev/mail", {"address": "a@example.com", "action": "refuse"})
    assert response.status_code == 403
    assert read_refused(folder) == []


@override_settings(MAILERS={"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}})
def test_the_page_says_so_where_mail_leaves_the_machine(client: Client) -> None:
    assert "leaves this machine" in client.get("/dev/mail").content.decode()

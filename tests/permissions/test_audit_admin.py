"""The audit log in the admin."""

from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions import audit
from permissions.models import AuditEvent
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db
LIST = "/admin/permissions/auditevent/"


@pytest.fixture
def root(superuser: User, client: Client) -> Client:
    """A browser whose user has every right."""
    client.force_login(superuser)
    return client


def event_with_details() -> AuditEvent:
    audit.record("role.attached", subject=audit.Reference("x.y", "zq77", "<b>Zoë</b>"), roles=["editor"], password="x")
    return AuditEvent.objects.latest("pk")


def test_the_list_shows_what_happened(root: Client) -> None:
    event_with_details()
    page = root.get(LIST).content.decode()
    assert "role.attached" in page
    assert "user.signed_in" in page


@pytest.mark.parametrize("words", ["attached", "zoë", "zq77", "editor", "attached editor"])
def test_an_event_is_found_by_what_it_says(root: Client, words: str) -> None:
    event_with_details()
    assert "1 audit event" in root.get(LIST, {"q": words}).content.decode()


def test_an_event_is_shown_with_its_details_and_escaped(root: Client) -> None:
    page = root.get(f"{LIST}{event_with_details().pk}/change/").content.decode()
    assert "&lt;b&gt;Zoë&lt;/b&gt;" in page
    assert '"password": "[redacted]"' in unescape(page)
    assert "<b>Zoë" not in page


def test_nobody_can_add_change_or_delete_an_event(root: Client) -> None:
    event = event_with_details()
    data = {"action": "delete_selected", "_selected_action": [event.pk], "post": "yes"}
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}add/", {"event": "x.y"}).status_code == 403
    assert root.post(f"{LIST}{event.pk}/change/", {"event": "x.y"}).status_code == 403
    assert root.post(f"{LIST}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    root.post(LIST, data)
    assert AuditEvent.objects.get(pk=event.pk).event == "role.attached"


def test_no_page_offers_to_save_or_delete(root: Client) -> None:
    event = event_with_details()
    for address in (LIST, f"{LIST}{event.pk}/change/"):
        page = root.get(address).content.decode()
        assert 'name="_save"' not in page
        assert "delete" not in page.lower().replace("deleted", "")


def test_the_end_of_the_chain_has_no_page(root: Client) -> None:
    assert root.get("/admin/permissions/audithead/").status_code == 404


def test_the_permission_opens_the_pages_to_staff(make_user: MakeUser, client: Client) -> None:
    client.force_login(make_user("permissions.view_auditevent", is_staff=True))
    assert client.get(LIST).status_code == 200
    assert client.get(f"{LIST}{event_with_details().pk}/change/").status_code == 200


def test_staff_without_the_permission_see_nothing(make_user: MakeUser, client: Client) -> None:
    client.force_login(make_user(is_staff=True))
    assert client.get(LIST).status_code == 403


@pytest.mark.parametrize(
    "query", ["?q=%ED%A0%80", "?event=%ff", "?p=x", "?created_at__gte=x", "?position__isempty=x", "?o=9.x", "?id=x"]
)
def test_hostile_queries_are_no_server_error(root: Client, query: str) -> None:
    event_with_details()
    assert root.get(LIST + query).status_code < 500


def test_the_list_takes_a_fixed_number_of_queries(
    root: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(30):
        event_with_details()
    with django_assert_num_queries(6):  # session, user and sign-in; the names of events for the filter; count and page
        root.get(LIST)

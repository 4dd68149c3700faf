"""The admin, branded."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    """A client signed in as a superuser."""
    user = get_user_model().objects.create_user(
        email="ada@example.com", password="correct horse battery", is_staff=True, is_superuser=True
    )
    client.force_login(user)
    return client


def test_the_admin_bears_the_name_and_the_colours_of_the_house(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert "Administration | Gatehouse" in page
    assert "/static/admin.css" in page


def test_the_admin_leads_back_to_the_home_page_and_to_the_docs(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert '<a href="/">Home page</a>' in page
    assert '<a href="/docs">API documentation</a>' in page

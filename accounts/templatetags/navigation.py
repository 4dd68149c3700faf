"""The navigation of the pages about one's own account."""

from django import template

from accounts.navigation import OwnPageLink, list_own_pages

register = template.Library()


@register.simple_tag
def get_own_pages() -> list[OwnPageLink]:
    """Return the entries of the navigation."""
    return list_own_pages()

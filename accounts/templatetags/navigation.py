"""The navigation of the pages about one's own account."""

from django import template
from django.template import Context

from accounts.navigation import OwnPageLink, list_own_pages
from permissions.scope import use_team

register = template.Library()


@register.simple_tag(takes_context=True)
def get_own_pages(context: Context) -> list[OwnPageLink]:
    """Return the entries of the navigation that are for who asks; what one may in one team alone opens none."""
    user = context["request"].user
    with use_team(None):
        return [page for page in list_own_pages() if not page.permission or user.has_perm(page.permission)]

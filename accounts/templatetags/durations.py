"""How long something lasts, in words, so that pages and mails say what is set."""

from datetime import timedelta
from typing import Final

from django import template

from accounts.models import EmailToken
from accounts.selectors import get_link_lifetime

register = template.Library()
_UNITS: Final = (("hour", 3600), ("minute", 60), ("second", 1))


@register.filter
def say_duration(lasts: timedelta) -> str:
    """Return a duration of whole seconds as a number of the longest unit that divides it: "24 hours", "90 minutes"."""
    seconds = int(lasts.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


@register.simple_tag
def link_lifetime(purpose: str) -> str:
    """Say how long a mailed link works, by what it is for: ``{% link_lifetime "reset_password" %}``."""
    return say_duration(get_link_lifetime(purpose=EmailToken.Purpose(purpose)))

"""The app's settings, read from ``settings.ACCOUNTS``."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings


@dataclass(frozen=True, slots=True)
class AccountsSettings:
    """What ``settings.ACCOUNTS`` says, as durations."""

    access_token_lifetime: timedelta
    #: A session ends when its refresh token lies unused for this long.
    refresh_idle_lifetime: timedelta
    #: A session ends this long after sign-in.
    session_lifetime: timedelta
    email_verification_lifetime: timedelta


def get_settings() -> AccountsSettings:
    """Read the settings as they are now."""
    values: dict[str, int] = settings.ACCOUNTS
    return AccountsSettings(
        access_token_lifetime=timedelta(seconds=values["ACCESS_TOKEN_SECONDS"]),
        refresh_idle_lifetime=timedelta(seconds=values["REFRESH_IDLE_SECONDS"]),
        session_lifetime=timedelta(seconds=values["SESSION_ABSOLUTE_SECONDS"]),
        email_verification_lifetime=timedelta(seconds=values["EMAIL_VERIFICATION_SECONDS"]),
    )

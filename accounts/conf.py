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
    #: For so long after its use a refresh token gives the same successor again.
    refresh_grace: timedelta
    #: A session ends this long after sign-in.
    session_lifetime: timedelta
    #: A session on the pages ends when nothing is done in it for this long.
    browser_idle_lifetime: timedelta
    #: How old a sign-in may be where something sensitive is changed.
    reauthentication_age: timedelta
    email_verification_lifetime: timedelta
    email_change_lifetime: timedelta
    password_reset_lifetime: timedelta
    #: An account whose address nobody confirms is deleted after this long.
    unverified_account_lifetime: timedelta
    #: Ended sessions are kept for this long.
    ended_session_lifetime: timedelta


def get_settings() -> AccountsSettings:
    """Read the settings as they are now."""
    values: dict[str, int] = settings.ACCOUNTS
    return AccountsSettings(
        access_token_lifetime=timedelta(seconds=values["ACCESS_TOKEN_SECONDS"]),
        refresh_idle_lifetime=timedelta(seconds=values["REFRESH_IDLE_SECONDS"]),
        refresh_grace=timedelta(seconds=values["REFRESH_GRACE_SECONDS"]),
        session_lifetime=timedelta(seconds=values["SESSION_ABSOLUTE_SECONDS"]),
        browser_idle_lifetime=timedelta(seconds=values["BROWSER_IDLE_SECONDS"]),
        reauthentication_age=timedelta(seconds=values["REAUTHENTICATION_SECONDS"]),
        email_verification_lifetime=timedelta(seconds=values["EMAIL_VERIFICATION_SECONDS"]),
        email_change_lifetime=timedelta(seconds=values["EMAIL_CHANGE_SECONDS"]),
        password_reset_lifetime=timedelta(seconds=values["PASSWORD_RESET_SECONDS"]),
        unverified_account_lifetime=timedelta(seconds=values["UNVERIFIED_ACCOUNT_SECONDS"]),
        ended_session_lifetime=timedelta(seconds=values["ENDED_SESSION_SECONDS"]),
    )

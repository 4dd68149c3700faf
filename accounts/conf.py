"""The app's settings, read from ``settings.ACCOUNTS``."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from django.conf import settings

#: Signature algorithms, by the names of RFC 7518 §3.1, RFC 9864 §2.2 and RFC 8037 §3.1. ``Ed25519`` and ``EdDSA`` are
#: one algorithm under two names: the new one for access tokens, the old one for ID tokens, whose readers know no other.
type AlgorithmName = Literal["ES256", "Ed25519", "RS256", "EdDSA"]


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
    #: With which new access tokens are signed.
    signing_algorithm: AlgorithmName
    #: With which ID tokens can be signed.
    id_token_algorithms: tuple[AlgorithmName, ...]
    #: A key is published for at least so long before it signs.
    key_publish_time: timedelta
    #: A key that has signed for so long gives way to the next one.
    key_rotation_age: timedelta
    #: For so long after its key has signed last an ID token can come back as a hint.
    id_token_hint_lifetime: timedelta

    @property
    def algorithms(self) -> tuple[AlgorithmName, ...]:
        """Return all that sign anything; keys of others retire."""
        return tuple(dict.fromkeys((self.signing_algorithm, *self.id_token_algorithms)))


def get_settings() -> AccountsSettings:
    """Read the settings as they are now; whoever changes one puts another mapping in its place."""
    values: dict[str, Any] = settings.ACCOUNTS  # Any: numbers here, other types beside them
    if _Read.last is None or _Read.last[0] is not values:
        _Read.last = values, _read(values)
    return _Read.last[1]


class _Read:
    """What was read last, behind the mapping that it was read from: it is asked for many times in a request."""

    last: tuple[object, AccountsSettings] | None = None


def _read(values: dict[str, Any]) -> AccountsSettings:  # Any: as above
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
        signing_algorithm=values["SIGNING_ALGORITHM"],
        id_token_algorithms=tuple(values["ID_TOKEN_ALGORITHMS"]),
        key_publish_time=timedelta(seconds=values["KEY_PUBLISH_SECONDS"]),
        key_rotation_age=timedelta(seconds=values["KEY_ROTATION_SECONDS"]),
        id_token_hint_lifetime=timedelta(seconds=values["ID_TOKEN_HINT_SECONDS"]),
    )


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    """What ``settings.ACCOUNTS`` says about passwords."""

    minimum_length: int
    #: Words that belong to this installation; a password can't be little more than them.
    context_words: tuple[str, ...]
    #: File of breached passwords.
    breached_file: Path | None
    #: Address of a service that knows breached passwords; empty: none is asked.
    breached_url: str
    #: Whether a password is refused when the file or the service that is set can't answer.
    is_breach_check_required: bool
    #: How many hashes one process makes at once; 0: as many as there are CPUs.
    hashes_at_once: int
    #: How long one waits for its turn.
    hash_wait: timedelta


def get_password_settings() -> PasswordSettings:
    """Read the settings about passwords as they are now."""
    values: dict[str, Any] = settings.ACCOUNTS  # Any: as above
    file: str = values["BREACHED_PASSWORDS_FILE"]
    return PasswordSettings(
        minimum_length=values["PASSWORD_MINIMUM_LENGTH"],
        context_words=tuple(values["CONTEXT_WORDS"]),
        breached_file=Path(file) if file else None,
        breached_url=values["BREACHED_PASSWORDS_URL"],
        is_breach_check_required=values["BREACHED_PASSWORDS_REQUIRED"],
        hashes_at_once=values["PASSWORD_HASHES_AT_ONCE"],
        hash_wait=timedelta(seconds=values["PASSWORD_HASH_WAIT_SECONDS"]),
    )

"""What an authorization request asks of the person before it is answered (OpenID Connect Core §3.1.2.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from oauth.claims import ACR_VALUES, ClaimsRequest

#: Ten digits of seconds are 300 years; more of them are no age of a sign-in.
_MAX_AGE_DIGITS: Final = 10
#: How long the answer to a page may take where a sign-in has to be younger than that.
READING_TIME: Final = timedelta(minutes=5)


class Prompt(StrEnum):
    """What the person is to be shown."""

    #: Nothing at all.
    NONE = "none"
    #: That they sign in once more.
    LOGIN = "login"
    #: What they allow, even if they have before.
    CONSENT = "consent"
    #: With which account they go on.
    SELECT_ACCOUNT = "select_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """What is asked of the person.

    Attributes:
        prompts: What they must be shown, or that it may be nothing.
        max_age: How long ago they may have signed in; None: however long.
        subjects: Ids of whom it must be; empty: anybody.
        login_hint: The e-mail address that the client believes to be theirs.
    """

    prompts: frozenset[Prompt] = frozenset()
    max_age: timedelta | None = None
    subjects: frozenset[str] = frozenset()
    login_hint: str = ""

    @property
    def is_silent(self) -> bool:
        """Say whether the person must not be shown anything."""
        return Prompt.NONE in self.prompts

    @property
    def wants_page(self) -> bool:
        """Say whether the person must be asked again, whatever they have allowed."""
        return bool(self.prompts & {Prompt.CONSENT, Prompt.SELECT_ACCOUNT})

    def accepts(self, subject: str) -> bool:
        """Say whether that person may be the one who answers."""
        return not self.subjects or subject in self.subjects

    def is_recent_enough(self, authenticated_at: datetime, *, asked_at: datetime, now: datetime) -> bool:
        """Say whether a sign-in is good enough for what was asked at some moment, perhaps before it.

        Who has signed in for it may then take some time to read what they allow, even where ``max_age`` is less.
        """
        is_new = authenticated_at >= asked_at
        if Prompt.LOGIN in self.prompts and not is_new:
            return False
        if self.max_age is None:
            return True
        return now - authenticated_at <= (max(self.max_age, READING_TIME) if is_new else self.max_age)


def parse_prompts(text: str) -> frozenset[Prompt]:
    """Read the parameter ``prompt``.

    Raises:
        ValueError: It has a value that isn't known, or ``none`` beside others; the message is fit for the client.
    """
    try:
        prompts = frozenset(Prompt(word) for word in text.split())
    except ValueError as error:
        message = "The parameter prompt has an unknown value."
        raise ValueError(message) from error
    if Prompt.NONE in prompts and len(prompts) > 1:
        message = "In the parameter prompt, none excludes everything else."
        raise ValueError(message)
    return prompts


def parse_max_age(text: str) -> timedelta | None:
    """Read the parameter ``max_age``; empty text asks for nothing.

    Raises:
        ValueError: It isn't a number of seconds; the message is fit for the client.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_AGE_DIGITS:
        message = "The parameter max_age is not a number of seconds."
        raise ValueError(message)
    return timedelta(seconds=int(text))


def combine_subjects(hinted: str | None, claims: ClaimsRequest) -> frozenset[str]:
    """Return whom a hint and the parameter ``claims`` name.

    Raises:
        ValueError: They name different people; the message is fit for the client.
    """
    if hinted is None:
        return frozenset(claims.subjects)
    if claims.subjects and hinted not in claims.subjects:
        message = "The parameters id_token_hint and claims name different people."
        raise ValueError(message)
    return frozenset({hinted})


def is_acr_possible(claims: ClaimsRequest) -> bool:
    """Say whether some sign-in here can be what the client cannot do without (OpenID Connect Core §5.5.1.1)."""
    return not claims.essential_acr or not {*claims.essential_acr}.isdisjoint(ACR_VALUES)

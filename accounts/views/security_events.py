"""The page that tells people, in plain words, what was done with their account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse

from accounts.selectors import get_doer, list_security_events
from accounts.views.pages import OwnPage
from permissions.audit import AuditEvent

_PER_PAGE: Final = 25
_LARGEST_ID: Final = 2**63 - 1
#: What each event is in plain words; what isn't here is no matter of the account's security.
WORDS: Final = {
    "authorization_code.reused": "An app used a sign-in code twice, and was refused",
    "client.changed": "Changed a client",
    "client.created": "Registered a client",
    "client.deleted": "Deleted a client",
    "client.logged_out": "Signed out by an app",
    "client.revoked": "Ended all that a client may do",
    "client.secret_ended": "Ended a client's secret",
    "client.secret_renewed": "Gave a client another secret",
    "consent.given": "Allowed an app to use the account",
    "consent.revoked": "Took back what an app was allowed",
    "device.allowed": "Let an app on a device use the account",
    "device.denied": "Sent an app on a device away",
    "device.revoked": "Took back what an app on a device was allowed",
    "permission.attached": "You were given a permission",
    "permission.detached": "A permission was taken from you",
    "permission.forbidden": "A permission was forbidden to you",
    "permission.unforbidden": "A permission is forbidden to you no longer",
    "personal_token.created": "Made a personal access token",
    "personal_token.revoked": "Revoked a personal access token",
    "refresh_token.reused": "A device's key was used twice, and the device was signed out",
    "role.attached": "You were given a role",
    "role.detached": "A role was taken from you",
    "session.ended": "Signed a device out",
    "user.changed": "Changed the profile",
    "user.consents_revoked": "Took back what all apps were allowed",
    "user.created": "The account was made",
    "user.email_change_requested": "Asked for another e-mail address",
    "user.email_changed": "Changed the e-mail address",
    "user.email_verified": "Confirmed the e-mail address",
    "user.exported": "Downloaded all data of the account",
    "user.invited": "An administrator sent an invitation",
    "user.password_changed": "Changed the password",
    "user.password_given": "Gave an app the password of the account",
    "user.password_reset_requested": "Asked for a link to choose a new password",
    "user.password_reset_started": "An administrator asked for a new password",
    "user.reauthenticated": "Entered the password once more",
    "user.reauthentication_refused": "Entered a wrong password to confirm that it's you",
    "user.registered": "Signed up",
    "user.sessions_ended": "Signed all devices out",
    "user.sign_in_refused": "Tried to sign in, and was refused",
    "user.signed_in": "Signed in",
    "user.signed_out": "Signed out",
    "user.verification_requested": "Asked for another link to confirm the address",
}

#: The same of an OAuth client, which the event names.
_OF_CLIENTS: Final = {
    "refresh_token.reused": "An app's key was used twice, and the app was disconnected",
    "session.ended": "Disconnected an app",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One event, as its owner reads it."""

    at: datetime
    words: str
    #: Network address; empty where it is an administrator's.
    where: str
    #: Who did it, where that was neither the owner nor a stranger.
    by: str


class SecurityEventsView(OwnPage):
    """What was done with the account, the newest first."""

    template_name = "accounts/security_events.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """List one page of it, from before the event that ``before`` names.

        Raises:
            Http404: ``before`` names none.
        """
        events = list_security_events(user=self.user).filter(event__in=WORDS)
        if before := request.GET.get("before", ""):
            events = events.filter(pk__lt=_parse(before))
        found = list(events[: _PER_PAGE + 1])
        shown = found[:_PER_PAGE]
        lines = [self._tell(event) for event in shown]
        return self.show(lines=lines, is_older=bool(before), older=shown[-1].pk if len(found) > _PER_PAGE else None)

    def _tell(self, event: AuditEvent) -> Line:
        """Return the line of an event: whoever else did it is an administrator, whose network isn't told."""
        is_other = get_doer(event=event, user=self.user) == "other"
        where, by = ("", "an administrator") if is_other else (event.ip_address, "")
        words = WORDS | (_OF_CLIENTS if event.data.get("client_id") else {})
        return Line(at=event.created_at, words=words[event.event], where=where, by=by)


def _parse(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LARGEST_ID)) or int(text) > _LARGEST_ID:
        raise Http404
    return int(text)

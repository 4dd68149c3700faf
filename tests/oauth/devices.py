"""A device, its user and their browser, which walk the device flow as real ones do, over HTTP only."""

from dataclasses import dataclass, field

from django.test import Client

from tests.oauth.flow import Answer, Flow, Json, get_hidden

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
PAGE = "/oauth/device"


@dataclass(slots=True)
class Device:
    """A client on a device, with the browser of the person who owns it."""

    flow: Flow
    browser: Client = field(default_factory=Client)

    def start(self, **form: str | None) -> Answer:
        """Ask for codes."""
        return self.flow.post("/oauth/device-authorization", **form)

    def get_codes(self, **form: str | None) -> Json:
        """Return what the device was told."""
        response = self.start(**form)
        assert response.status_code == 200, response.content
        return dict(response.json())

    def poll(self, device_code: str, **form: str | None) -> Answer:
        """Ask for tokens."""
        return self.flow.post("/oauth/token", grant_type=DEVICE_CODE, device_code=device_code, **form)

    def enter(self, user_code: str) -> Answer:
        """Enter a code in the browser."""
        return self.browser.post(PAGE, {"user_code": user_code})

    def decide(self, user_code: str, decision: str = "allow") -> Answer:
        """Enter a code and press a button of the page that it leads to."""
        signed = get_hidden(self.enter(user_code), "request")
        return self.browser.post(f"{PAGE}/decision", {"request": signed, "decision": decision})

    def get_allowed(self, **form: str | None) -> Json:
        """Return the codes of a device that its user allowed."""
        codes = self.get_codes(**form)
        assert self.decide(codes["user_code"]).status_code == 302
        return codes

    def get_tokens(self, **form: str | None) -> Json:
        """Return the answer to a whole flow."""
        response = self.poll(self.get_allowed(**form)["device_code"])
        assert response.status_code == 200, response.content
        return dict(response.json())


def get_error(response: Answer) -> str:
    """Return what a refused request is told."""
    assert response.status_code == 400, response.content
    return str(response.json()["error"])

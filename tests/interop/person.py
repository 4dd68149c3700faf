"""A person with a browser and a password who does what the pages ask, over real HTTP."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import override
from urllib.parse import urlencode, urljoin

import requests

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
_MAX_STEPS = 20
_SECONDS = 20


@dataclass(slots=True)
class Form:
    """A form of a page."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(values.get("action", ""), values.get("method", "get").upper()))
        elif self.found and tag == "input" and "name" in values:
            self.found[-1].fields[values["name"]] = values.get("value", "")
        elif self.found and tag == "button" and "name" in values:
            self.found[-1].buttons.append((values["name"], values["value"]))


@dataclass(slots=True)
class Person:
    """Somebody who has an account at the house and allows all that a client asks for."""

    house: str
    browser: requests.Session = field(default_factory=requests.Session)

    def visit(self, address: str, *, until: str = "") -> str:
        """Open an address and return the one where the pages led, or the first that begins with ``until``.

        What is posted there is in its query.
        """
        return self.open(address, until=until)[0]

    def open(self, address: str, *, until: str = "") -> tuple[str, str]:
        """Open an address and return the one where the pages led, and what is there."""
        request = requests.Request("GET", address)
        for _ in range(_MAX_STEPS):
            if until and request.url.startswith(until):
                return str(request.url) + (f"?{urlencode(request.data)}" if request.method == "POST" else ""), ""
            prepared = self.browser.prepare_request(request)
            answer = self.browser.send(prepared, allow_redirects=False, timeout=_SECONDS)
            assert answer.status_code < 400, f"{answer.status_code} at {answer.url}: {answer.text[:2000]}"
            following = self._go_on(answer)
            if following is None:
                return answer.url, answer.text
            request = following
        raise AssertionError(f"the pages lead nowhere: {request.url}")

    def _go_on(self, answer: requests.Response) -> requests.Request | None:
        if answer.is_redirect:
            return requests.Request("GET", urljoin(answer.url, answer.headers["Location"]))
        return self._fill(answer) if answer.url.startswith(self.house) else None

    def _fill(self, answer: requests.Response) -> requests.Request | None:
        """Return what the browser sends when the person has done what the page asks, if it asks for something."""
        for form in Forms(answer.text).found:
            action = urljoin(answer.url, form.action)
            if "password" in form.fields:
                form.fields |= {"username": EMAIL, "password": PASSWORD}
            elif ("decision", "allow") in form.buttons:
                form.fields["decision"] = "allow"
            elif action.startswith(self.house) and not form.fields.get("user_code"):
                continue  # a way that the page offers, such as to another account
            return requests.Request(form.method, action, data=form.fields)
        return None

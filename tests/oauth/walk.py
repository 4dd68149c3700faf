"""A person with a browser and a password who does what each page asks, until the client has its answer."""

import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.test import Client

from accounts.models import User
from tests.oauth.flow import FORM, Answer, Flow, get_hidden

PASSWORD = "correct horse battery staple"
_MAX_STEPS = 12


@dataclass(slots=True)
class Walk:
    """One way through the pages.

    Attributes:
        pages: Which pages asked for something, in order.
        answer: What the client was told.
        is_form_post: Whether it was told by a form.
        arrived_at: Its address, without what it was told.
    """

    pages: list[str] = field(default_factory=list)
    answer: dict[str, str] = field(default_factory=dict)
    is_form_post: bool = False
    arrived_at: str = ""


def give_password(person: User) -> None:
    """Let the person sign in on the page."""
    person.set_password(PASSWORD)
    person.save()


def walk(flow: Flow, person: User, **changes: str | None) -> Walk:
    """Ask for authorization and go where the pages lead."""
    return follow(flow.browser, person, flow.open(**changes), Walk())


def walk_by_form(flow: Flow, person: User, **changes: str | None) -> Walk:
    """Ask for authorization by a form, and go where the pages lead."""
    body = urlencode(flow.build_request(**changes))
    return follow(flow.browser, person, flow.browser.generic("POST", "/oauth/authorize", body, FORM), Walk())


def follow(browser: Client, person: User, response: Answer, done: Walk) -> Walk:
    """Go on from an answer of the house."""
    for _ in range(_MAX_STEPS):
        if response.status_code in {302, 303}:
            target = urlsplit(response["Location"])
            if target.netloc:
                return _arrive(done, response["Location"])
            response = browser.get(response["Location"])
            continue
        assert response.status_code == 200, response.content.decode()
        text = response.content.decode()
        if refresh := re.search(r'<meta http-equiv="refresh" content="0; url=([^"]*)">', text):
            return _arrive(done, unescape(refresh[1]))
        if "You are being sent back" in text:
            done.is_form_post, done.arrived_at, done.answer = True, *_read_form(text)
            return done
        response = _act(browser, person, response, text, done)
    raise AssertionError(f"The person goes round in circles: {done.pages}")


def _arrive(done: Walk, address: str) -> Walk:
    target = urlsplit(address)
    done.arrived_at, done.answer = target._replace(query="").geturl(), dict(parse_qsl(target.query))
    return done


def _act(browser: Client, person: User, response: Answer, text: str, done: Walk) -> Answer:
    if 'name="username"' in text:
        done.pages.append("sign in")
        form = {"username": person.email, "password": PASSWORD, "next": get_hidden(response, "next")}
        return browser.post("/accounts/login/", form)
    if "Confirm that it is you" in text:
        done.pages.append("reauthenticate")
        form = {"password": PASSWORD, "next": get_hidden(response, "next")}
        return browser.post("/accounts/reauthenticate/", form)
    done.pages.append("consent")
    return browser.post("/oauth/consent", {"request": get_hidden(response, "request"), "decision": "allow"})


def _read_form(text: str) -> tuple[str, dict[str, str]]:
    action = re.search(r'<form method="post" action="([^"]*)"', text)
    assert action is not None
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text)
    return unescape(action[1]), {name: unescape(value) for name, value in fields}

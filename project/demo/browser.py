"""A browser as small as can be: cookies, pages, and forms as a person would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import override
from urllib.parse import urljoin

import requests

_TIMEOUT_SECONDS = 15


@dataclass(slots=True)
class Form:
    """One form of a page: where it goes, what its fields hold, which buttons it has."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    #: Text of a button to the name and value that it sends.
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _FormReader(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._button: tuple[str, str] | None = None
        self._button_text = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get").lower()))
        elif self.forms and tag == "input":
            self._read_input(values)
        elif self.forms and tag == "button":
            self._button, self._button_text = (values.get("name", ""), values.get("value", "")), ""

    def _read_input(self, values: dict[str, str]) -> None:
        kind, name = values.get("type", "text"), values.get("name", "")
        form = self.forms[-1]
        if kind == "submit":
            form.buttons[values.get("value", "")] = (name, values.get("value", ""))
        elif name and (kind not in {"checkbox", "radio"} or "checked" in values):
            form.fields[name] = values.get("value", "")

    @override
    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button_text += data

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None:
            self.forms[-1].buttons[" ".join(self._button_text.split())] = self._button
            self._button = None


class Browser:
    """Cookies and the page that is open. Redirects within the site are followed, others are returned."""

    def __init__(self, base_url: str) -> None:
        """Open nothing yet."""
        self._base_url = base_url
        self._http = requests.Session()
        self.page = requests.Response()

    def open(self, address: str) -> requests.Response:
        """Open an address of the site, or a full one."""
        return self._follow(self._request("GET", urljoin(self._base_url, address)))

    def submit(self, marker: str, **values: str) -> requests.Response:
        """Fill in and send the form of the open page that has this button, or a field of this name.

        Raises:
            LookupError: The page has no such form or button.
        """
        form = self._find(marker)
        data = form.fields | values
        name, value = form.buttons.get(marker, ("", ""))
        if name:
            data[name] = value
        address = urljoin(self.page.url, form.action or self.page.url)
        return self._follow(self._request("POST", address, data))

    def _find(self, marker: str) -> Form:
        reader = _FormReader()
        reader.feed(self.page.text)
        for form in reader.forms:
            if marker in form.fields or marker in form.buttons:
                return form
        message = f"The page {self.page.url} has no form with {marker!r}."
        raise LookupError(message)

    def _request(self, method: str, address: str, data: dict[str, str] | None = None) -> requests.Response:
        # Browsers send these with a form; Django checks them against the host.
        headers = {"Origin": self._base_url, "Referer": self.page.url or self._base_url} if data is not None else {}
        return self._http.request(
            method, address, data=data, headers=headers, allow_redirects=False, timeout=_TIMEOUT_SECONDS
        )

    def _follow(self, response: requests.Response) -> requests.Response:
        for _ in range(10):
            location = response.headers.get("Location", "")
            target = urljoin(response.url, location)
            if not response.is_redirect or not target.startswith(self._base_url + "/"):
                break
            response = self._request("GET", target)
        self.page = response
        return response

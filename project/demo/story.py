"""The steps of the main job, in order. Each one asks the running house over HTTP and checks the answer."""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from project.demo.browser import Browser
from project.seed import ClientCredentials, Credentials

_TIMEOUT_SECONDS = 15
_MAIL_DEADLINE_SECONDS = 30
_FAILED_JOBS = "/admin/jobs/failedjob/"
_CALLBACK = "http://127.0.0.1:53682/callback"

type Json = dict[str, Any]  # Any: whatever the server answered; each step checks what it uses


class WrongAnswerError(Exception):
    """The house answered something else than it should."""


@dataclass(slots=True, kw_only=True)
class Story:
    """The walk: what it knows so far, and the steps."""

    base_url: str
    credentials: Credentials
    #: Prints one line for the person who watches.
    say: Callable[[str], None]
    _step: int = 0
    _email: str = ""
    _password: str = ""
    _token: str = ""
    _refresh_token: str = ""
    _user_id: str = ""

    def tell(self) -> None:
        """Walk every step.

        Raises:
            WrongAnswerError: At the first wrong answer.
        """
        self._email = f"demo-{secrets.token_hex(4)}@example.com"
        self._password = secrets.token_urlsafe(15)
        self._register_and_verify()
        self._log_in()
        self._role_opens_the_door()
        self._authorization_code()
        self._client_credentials()
        self._failed_job_is_retried()

    def _register_and_verify(self) -> None:
        self._title(f"register {self._email}")
        body = {"email": self._email, "password": self._password, "name": "Demo"}
        self._expect(202, self._call("POST", "/api/v1/auth/register", json=body))
        self._title("a worker sends the verification mail")
        mail = self._wait_for_mail(self._email)
        self.say(f"      subject: {mail['subject']}")
        self._title("open the link in the mail and confirm")
        link = self._link_in(mail)
        browser = Browser(self.base_url)
        self._expect(200, browser.open(link))
        self._expect(200, browser.submit("csrfmiddlewaretoken"))

    def _link_in(self, mail: Json) -> str:
        found = re.search(rf"{re.escape(self.base_url)}/\S+", str(mail["body"]))
        if found is None:
            message = "The mail has no link to this installation."
            raise WrongAnswerError(message)
        return found.group()

    def _log_in(self) -> None:
        self._title("log in by the API")
        tokens = self._log_in_as(self._email, self._password)
        self._token = str(tokens["access_token"])
        self._title("who am I")
        me = self._expect(200, self._call("GET", "/api/v1/auth/me", token=self._token))
        self._check(me["email"] == self._email, "me is somebody else")
        self._user_id = str(me["id"])

    def _role_opens_the_door(self) -> None:
        self._title("list the users without a role for it")
        self._expect(403, self._call("GET", "/api/v1/users", token=self._token))
        self._title("an admin gives the role editor")
        admin = self.credentials.users[0]
        admin_token = str(self._log_in_as(admin.email, admin.password)["access_token"])
        path = f"/api/v1/users/{self._user_id}/roles"
        self._expect(200, self._call("POST", path, token=admin_token, json={"role": "editor"}))
        self._title("the same call again")
        self._expect(200, self._call("GET", "/api/v1/users", token=self._token))

    def _authorization_code(self) -> None:
        client = self._client("authorization_code")
        verifier = secrets.token_urlsafe(48)
        code = self._ask_for_code(client, verifier)
        self._title("exchange the code with the PKCE verifier")
        tokens = self._token_request(
            grant_type="authorization_code",
            client_id=client.client_id,
            code=code,
            redirect_uri=_CALLBACK,
            code_verifier=verifier,
        )
        self._title("use the access token on the API")
        me = self._expect(200, self._call("GET", "/api/v1/auth/me", token=str(tokens["access_token"])))
        self._check(me["email"] == self._email, "the token is somebody else's")
        self._title("beyond its scopes it opens nothing")
        self._expect(403, self._call("GET", "/api/v1/roles", token=str(tokens["access_token"])))
        self._title("refresh")
        fresh = self._token_request(
            grant_type="refresh_token", client_id=client.client_id, refresh_token=str(tokens["refresh_token"])
        )
        self._revoke(client, str(fresh["access_token"]))

    def _revoke(self, client: ClientCredentials, access_token: str) -> None:
        self._title("revoke, and the token is dead at once")
        form = {"token": access_token, "client_id": client.client_id}
        self._expect(200, self._call("POST", "/oauth/revoke", data=form))
        self._expect(401, self._call("GET", "/api/v1/auth/me", token=access_token))

    def _ask_for_code(self, client: ClientCredentials, verifier: str) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        state = secrets.token_urlsafe(16)
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": _CALLBACK,
            "scope": "profile users:read",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        browser = Browser(self.base_url)
        self._title("a client asks for access: the login page")
        self._expect(200, browser.open(f"/oauth/authorize?{urlencode(query)}"))
        self._title("sign in: the consent page")
        self._expect(200, browser.submit("password", username=self._email, password=self._password))
        self._check(client.name in browser.page.text, "the consent page doesn't name the client")
        self._title("allow")
        answer = browser.submit("Allow")
        self._expect(302, answer)
        answered = parse_qs(urlsplit(answer.headers["Location"]).query)
        self._check(answered.get("state") == [state], "the state came back changed")
        self._check(answered.get("iss") == [self.base_url], "the issuer is missing (RFC 9207)")
        return answered["code"][0]

    def _client_credentials(self) -> None:
        client = self._client("client_credentials")
        login = (client.client_id, client.client_secret or "")
        self._title("client credentials")
        answer = self._call("POST", "/oauth/token", data={"grant_type": "client_credentials"}, auth=login)
        token = str(self._expect(200, answer)["access_token"])
        self._title("introspect")
        answer = self._call("POST", "/oauth/introspect", data={"token": token}, auth=login)
        self._check(self._expect(200, answer)["active"] is True, "the token isn't active")
        self._title("revoke, and introspect again")
        self._expect(200, self._call("POST", "/oauth/revoke", data={"token": token}, auth=login))
        answer = self._call("POST", "/oauth/introspect", data={"token": token}, auth=login)
        self._check(self._expect(200, answer)["active"] is False, "the token lives on")

    def _failed_job_is_retried(self) -> None:
        email = f"refused-{secrets.token_hex(4)}@example.com"
        mail_page = Browser(self.base_url)
        admin = self._admin_browser()
        known = self._failed_jobs(admin)
        self._title(f"let the mail server refuse {email}")
        mail_page.open("/dev/mail")
        self._expect(200, mail_page.submit("Refuse mail for it", address=email))
        body = {"email": email, "password": self._password}
        self._expect(202, self._call("POST", "/api/v1/auth/register", json=body))
        self._title("the job fails for good and stands in failed jobs")
        failed = self._wait(lambda: self._failed_jobs(admin) - known, "no failed job appeared")
        self._title("the mail server takes it again; retry the job")
        mail_page.open("/dev/mail")
        self._expect(200, mail_page.submit(f"Accept mail for {email}"))
        admin.open(_FAILED_JOBS)
        answer = admin.submit("select_across", action="retry_failed_jobs", _selected_action=failed.pop())
        self._expect(200, answer)
        self._title("the mail arrives")
        self._wait_for_mail(email)

    def _admin_browser(self) -> Browser:
        browser = Browser(self.base_url)
        login = self.credentials.users[0]
        self._expect(200, browser.open("/admin/login/?next=/admin/"))
        self._expect(200, browser.submit("password", username=login.email, password=login.password))
        return browser

    def _failed_jobs(self, admin: Browser) -> set[str]:
        """Return the keys of the failed jobs that the admin's list shows."""
        page = admin.open(_FAILED_JOBS)
        self._check(page.ok, "the admin doesn't show the failed jobs")
        return set(re.findall(r'name="_selected_action" value="([^"]+)"', page.text))

    def _log_in_as(self, email: str, password: str) -> Json:
        return self._expect(200, self._call("POST", "/api/v1/auth/login", json={"email": email, "password": password}))

    def _client(self, grant_type: str) -> ClientCredentials:
        return next(client for client in self.credentials.clients if grant_type in client.grant_types)

    def _token_request(self, **form: str) -> Json:
        return self._expect(200, self._call("POST", "/oauth/token", data=form))

    def _wait_for_mail(self, email: str) -> Json:
        def newest() -> Json | None:
            answer = self._call("GET", f"/dev/mail?{urlencode({'to': email})}", accept="application/json")
            messages = answer.json()["messages"]
            return dict(messages[0]) if messages else None

        return self._wait(newest, f"no mail to {email} arrived")

    def _wait[T](self, probe: Callable[[], T | None], complaint: str) -> T:
        deadline = time.monotonic() + _MAIL_DEADLINE_SECONDS
        while not (value := probe()):
            if time.monotonic() > deadline:
                message = f"{complaint} within {_MAIL_DEADLINE_SECONDS} s; is a worker running?"
                raise WrongAnswerError(message)
            time.sleep(0.2)
        return value

    def _call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        json: Json | None = None,
        data: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        accept: str = "*/*",
    ) -> requests.Response:
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
        return requests.request(
            method,
            self.base_url + path,
            headers=headers,
            json=json,
            data=data,
            auth=auth,
            allow_redirects=False,
            timeout=_TIMEOUT_SECONDS,
        )

    def _title(self, text: str) -> None:
        self._step += 1
        self.say(f"{self._step:>3}. {text}")

    def _expect(self, status: int, answer: requests.Response) -> Json:
        """Print what came back, check the status, and return the JSON if there is any."""
        self.say(f"      {answer.request.method} {urlsplit(answer.url).path} -> {answer.status_code} {answer.reason}")
        if answer.status_code != status:
            message = f"expected {status}, got {answer.status_code}: {answer.text[:500]}"
            raise WrongAnswerError(message)
        is_json = "json" in answer.headers.get("Content-Type", "") and answer.content
        return dict(answer.json()) if is_json else {}

    def _check(self, holds: bool, complaint: str) -> None:  # noqa: FBT001 - a private assertion
        if not holds:
            raise WrongAnswerError(complaint)

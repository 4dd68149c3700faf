"""Apache signs people in at the house and takes its access tokens, with Debian's mod_auth_openidc."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.interop.conftest import Registration, register
from tests.interop.person import EMAIL, Person
from tests.waiting import wait_until

pytestmark = [pytest.mark.http, pytest.mark.house, pytest.mark.timeout(120)]

MODULES = Path("/usr/lib/apache2/modules")
CONFIGURATION = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/errors
DefaultRuntimeDir {folder}
DocumentRoot {folder}/pages
{user}
{modules}
OIDCProviderMetadataURL {house}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {client_secret}
OIDCRedirectURI {redirect_uri}
OIDCCryptoPassphrase of-a-server-that-lives-for-one-test
OIDCScope "openid email"
OIDCPKCEMethod S256
OIDCPassClaimsAs environment
OIDCOAuthServerMetadataURL {house}/.well-known/oauth-authorization-server
OIDCOAuthClientID {client_id}
OIDCOAuthClientSecret {client_secret}
OIDCOAuthRemoteUserClaim client_id
<Directory {folder}/pages>
  Require all granted
  Options +Includes
  SetOutputFilter INCLUDES
</Directory>
<Location /private>
  AuthType openid-connect
  Require valid-user
</Location>
<Location /api>
  AuthType oauth20
  Require claim client_id:{client_id}
</Location>
"""


@pytest.fixture
def client(house: str) -> Registration:
    """The web server, as the house knows it."""
    return register(
        "Example intranet",
        ["authorization_code", "client_credentials"],
        is_confidential=True,
        redirect_uri=f"http://127.0.0.1:{find_port()}/private/callback",
        scopes=["openid", "email", "users:read"],
    )


@pytest.fixture
def site(house: str, client: Registration) -> Iterator[str]:
    """The address of Apache with a private page and a private API."""
    program = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not (MODULES / "mod_auth_openidc.so").exists():
        pytest.skip("Apache with mod_auth_openidc is not here (Debian: apt install libapache2-mod-auth-openidc).")
    origin = client["redirect_uri"].removesuffix("/private/callback")
    # Its workers run as another user, who can't see into pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="gatehouse-apache-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for page in ("private", "api", "bye"):
            (folder / "pages" / page).mkdir(parents=True)
            (folder / "pages" / page / "index.html").write_text(
                '<!--#echo var="OIDC_CLAIM_email" --> <!--#echo var="REMOTE_USER" -->'
            )
        text = CONFIGURATION.format(
            folder=folder,
            port=origin.rpartition(":")[2],
            user="User www-data\nGroup www-data" if os.geteuid() == 0 else "",
            modules="\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in list_modules()),
            house=house,
            **client,
        )
        (folder / "apache.conf").write_text(text)
        with run_apache([program, "-f", str(folder / "apache.conf"), "-DFOREGROUND"]) as process:
            wait_until(lambda: process.poll() is not None or is_open(origin))
            assert process.poll() is None, (folder / "errors").read_text()
            yield origin


@contextmanager
def run_apache(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run Apache; it ends its workers where it is asked to end, not where it is killed."""
    with subprocess.Popen(command, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def list_modules() -> list[str]:
    """Return what the configuration needs."""
    return ["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "include", "auth_openidc"]


def find_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_open(origin: str) -> bool:
    """Say whether somebody answers there."""
    try:
        return requests.get(f"{origin}/bye/", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_apache_signs_a_person_in_and_out(site: str, house: str, person: Person) -> None:
    address, text = person.open(f"{site}/private/")
    assert address == f"{site}/private/"
    assert text.startswith(EMAIL)
    assert person.visit(f"{site}/private/callback?logout={site}/bye") == f"{site}/bye/"
    now = person.browser.get(f"{house}/accounts/profile/", timeout=20)
    assert now.url.startswith(f"{house}/accounts/login/")


def test_apache_takes_access_tokens_that_live(site: str, house: str, client: Registration) -> None:
    login = (client["client_id"], client["client_secret"])
    form = {"grant_type": "client_credentials", "scope": "users:read"}
    token = requests.post(f"{house}/oauth/token", form, auth=login, timeout=20).json()["access_token"]
    asked = requests.get(f"{site}/api/", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    assert client["client_id"] in asked.text
    refused = requests.get(f"{site}/api/", headers={"Authorization": f"Bearer {token}x"}, timeout=20)
    assert refused.status_code == 401

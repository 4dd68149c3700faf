"""Settings of the first minute: no service, no variable needed, secrets made for this installation."""

import os
from pathlib import Path
from secrets import token_urlsafe

from project.settings.base import *  # noqa: F403 - a settings module is its names
from project.settings.base import ALLOWED_HOSTS, BASE_URL, MAILERS, SECRET_KEY, VAR_DIR, env


def _installation_secret(path: Path) -> str:
    """Return the secret kept in ``path``; the first caller makes it, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        secret = token_urlsafe(64)
        file.write(secret)
    return secret


try:
    SECRET_KEY = SECRET_KEY or _installation_secret(VAR_DIR / "secret_key")
except OSError as error:
    env.reject("VAR_DIR", f"{VAR_DIR} cannot be written ({error.strerror}); make it writable or choose another folder")
ALLOWED_HOSTS = [*ALLOWED_HOSTS, "127.0.0.1", "localhost", "[::1]", BASE_URL.rpartition("//")[2].partition(":")[0]]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
# Mail lands in files that the page /dev/mail shows.
DEV_PAGES = True
MAILERS = MAILERS or {
    "default": {"BACKEND": "project.devmail.FileEmailBackend", "OPTIONS": {"file_path": str(VAR_DIR / "mail")}}
}
env.seal()

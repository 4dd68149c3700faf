"""Settings of the test suite: what ``dev`` has, with a database of its own and the real servers where they are given.

``TEST_DATABASE_URL`` and ``TEST_REDIS_URL`` name real servers; the suite starts some by itself where it needs them.
"""

import os
import tempfile
from pathlib import Path

# A suite must not depend on the developer's own .env, nor write into the developer's own var/.
os.environ["VAR_DIR"] = os.environ.get("TEST_VAR_DIR") or tempfile.mkdtemp(prefix="gatehouse-test-")
os.environ["ENV_FILE"] = os.devnull
os.environ["JOB_CONNECTION"] = "database"  # tests of other connections say so
for _name in ("PORT", "DEBUG", "EMAIL_URL", "SEED_PASSWORD", "ALLOWED_HOSTS", "LOG_FORMAT"):
    os.environ.pop(_name, None)
os.environ["BASE_URL"] = "http://testserver"
os.environ["SECRET_KEY"] = "for-the-test-suite-alone-" + "k2Zq9wT4" * 8
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["REDIS_URL"] = os.environ.get("TEST_REDIS_URL", "")
if os.environ["REDIS_URL"] and (_worker := os.environ.get("PYTEST_XDIST_WORKER")):
    # Processes of one run share the server, but not the cache that each test empties.
    os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].rpartition('/')[0]}/{_worker.removeprefix('gw')}"
for _name in ("DATABASE_URL", "REDIS_URL"):
    if not os.environ[_name]:
        del os.environ[_name]

from project.settings.base import *  # noqa: E402, F403 - the environment above must come first
from project.settings.base import DATABASES, INSTALLED_APPS, VAR_DIR, env  # noqa: E402 - as above

INSTALLED_APPS = [*INSTALLED_APPS, "tests.articles.apps.ArticlesConfig"]

ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
DEV_PAGES = True
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True  # else every test client reads all static files first
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",  # the suite tests what a password opens, not how slow it is
    "accounts.passwords.Argon2idHasher",
]
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)  # the suite drops databases; a pool would hold them open
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, because threads and processes of one test must see one database.
    DATABASES["default"]["TEST"] = {
        "NAME": Path(VAR_DIR) / f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.sqlite3"
    }
env.seal()

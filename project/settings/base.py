"""Every setting of the house, with safe defaults; ``dev``, ``production`` and ``test`` refine it."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.csp import CSP

from project.logging import configure_logging
from project.settings import api, applications, databases, environment, oauth

BASE_DIR = environment.BASE_DIR

env = environment.Environment(dotenv=Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env"))

# --- The house -------------------------------------------------------------------------------------------------------
env.group("The house")
VAR_DIR = Path(
    env.text("VAR_DIR", default="var", help="Folder for what this installation writes: database, mail, credentials.")
)
VAR_DIR = VAR_DIR if VAR_DIR.is_absolute() else BASE_DIR / VAR_DIR
try:
    # WhiteNoise wants this folder, even where finders serve.
    (VAR_DIR / "static").mkdir(parents=True, exist_ok=True)
except OSError as _error:
    env.reject("VAR_DIR", f"{VAR_DIR} cannot be written ({_error.strerror}); make it writable or choose another folder")
HOST = env.text("HOST", default="127.0.0.1", help="Address that the web server listens on.")
PORT = env.number("PORT", default=8000, least=1, most=65535, help="Port that the web server listens on.")
BASE_URL = env.origin(
    "BASE_URL",
    default=f"http://127.0.0.1:{PORT}",
    help="Public origin: issuer of tokens and start of every link in mails. Needed in production.",
)
ALLOWED_HOSTS = env.words(
    "ALLOWED_HOSTS", help="Host names that may be asked for, comma-separated. Needed in production."
)
DEBUG = env.flag("DEBUG", help="Show Django's debug pages. For development only; refused in production.")
TIME_ZONE = env.time_zone("TIME_ZONE", default="UTC", help="Time zone of the pages; everything stored is UTC.")

# --- Secrets ---------------------------------------------------------------------------------------------------------
env.group("Secrets")
SECRET_KEY = env.text(
    "SECRET_KEY", help="At least 50 random characters; every other key is derived from it. Needed in production."
)
SECRET_KEY_FALLBACKS = env.words(
    "SECRET_KEY_FALLBACKS", help="Earlier secrets, comma-separated, still accepted while a new one takes over."
)
SEED_PASSWORD = env.text(
    "SEED_PASSWORD", help="Password of the three seeded users; without it each installation makes its own."
)

# --- Stores ----------------------------------------------------------------------------------------------------------
env.group("Stores")
_database = env.database(
    "DATABASE_URL",
    default=f"sqlite:///{VAR_DIR / 'gatehouse.sqlite3'}",
    shown="",
    help="postgres://user:password@host:5432/name, or a SQLite file; without it SQLite in VAR_DIR.",
)
databases.tune(_database)
DATABASES: dict[str, Any] = {"default": _database}  # Any: Django's own shape of a database entry
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.redis(
    "REDIS_URL",
    help="redis://host:6379/0 for the shared cache; without it each process keeps a small cache of its own.",
)
CACHES: dict[str, Any] = {  # Any: Django's own shape of a cache entry
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "gatehouse",
            "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},  # seconds
        }
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "gatehouse",
            "OPTIONS": {"MAX_ENTRIES": 20_000},  # of Django's 300, who tries many accounts would push counts out
        }
    )
}
SHARED_FACTS: dict[str, Any] = {  # Any: an address and numbers, which project.shared_facts reads
    #: The cache that all processes share and that answers for the database; empty where there is none.
    "URL": REDIS_URL,
    #: Life of a fact, in seconds; at most 300. So long a change may stay unseen that the cache could not be told of.
    "LIFETIME_SECONDS": 60,
    #: Life of a mark that nobody takes away, in seconds; no shorter than a transaction may last.
    "MARK_SECONDS": 60,
    #: A process believes what it has read until the cache says that it changed, over a connection that was heard of no
    #: longer ago than this, in seconds. 0 reads anew each time.
    "SILENCE_SECONDS": 1.0,
}

# --- Mail ------------------------------------------------------------------------------------------------------------
env.group("Mail")
_mailer = env.mailer("EMAIL_URL", help=f"{environment.MAIL_URL}. Needed in production.")
MAILERS: dict[str, Any] = {"default": _mailer} if _mailer else {}  # Any: Django's own shape of a mailer entry
DEFAULT_FROM_EMAIL = env.address(
    "DEFAULT_FROM_EMAIL", help="Sender of every mail; without it no-reply at the host of BASE_URL, called Gatehouse."
)
DEFAULT_FROM_EMAIL = DEFAULT_FROM_EMAIL or f"Gatehouse <no-reply@{urlsplit(BASE_URL).hostname}>"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- Behind a proxy --------------------------------------------------------------------------------------------------
env.group("Behind a proxy")
TRUSTED_PROXY_COUNT = env.number(
    "TRUSTED_PROXY_COUNT",
    default=0,
    help=(
        "How many proxies in front of the web server add to X-Forwarded-For and set X-Forwarded-Proto. They must drop "
        "header names with underscores, which WSGI can't tell from those with hyphens."
    ),
)
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Logs ------------------------------------------------------------------------------------------------------------
env.group("Logs")
LOG_LEVEL = env.choice(
    "LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="DEBUG, INFO, WARNING or ERROR."
)
LOG_FORMAT = env.choice(
    "LOG_FORMAT",
    default="",
    choices=("", "json", "text"),
    help="json or text; without it text in development and JSON in production.",
)
# structlog sets the loggers up itself; Django's own default configuration would print everything twice.
LOGGING_CONFIG = None
configure_logging(level=LOG_LEVEL, style="json" if LOG_FORMAT == "json" else "text")

# --- Applications and the way of a request ---------------------------------------------------------------------------
INSTALLED_APPS = applications.INSTALLED_APPS
MIDDLEWARE = applications.MIDDLEWARE
PROGRAM_PATHS = applications.PROGRAM_PATHS
TEMPLATES = applications.TEMPLATES
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
USE_TZ = True
LANGUAGE_CODE = "en"

# --- Static files ----------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"

# --- Security of every response --------------------------------------------------------------------------------------
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "object-src": [CSP.NONE],
}
SECURE_REFERRER_POLICY = "same-origin"  # "no-referrer" would make browsers post forms with "Origin: null"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "project.views.csrf_failure"
#: Largest request body in bytes; more is answered with 413.
MAX_BODY_BYTES = 1_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

# --- Accounts and permissions ----------------------------------------------------------------------------------------
env.group("Passwords")
_context_words = env.words(
    "PASSWORD_CONTEXT_WORDS",
    default=("gatehouse",),
    help="Names of product and organisation, comma-separated; a password can't be little more than them.",
)
_breached_passwords_file = env.text(
    "BREACHED_PASSWORDS_FILE",
    help="File made by build_breached_passwords; a password in it is refused. Without it no such file is asked.",
)
_breached_passwords_url = env.text(
    "BREACHED_PASSWORDS_URL",
    help="https:// address of a range API, such as https://api.pwnedpasswords.com/range; without it none is asked.",
)
_breached_passwords_required = env.flag(
    "BREACHED_PASSWORDS_REQUIRED",
    help="Refuse every new password while the file or the API above can't answer; otherwise that is only logged.",
)
_password_hashes_at_once = env.number(
    "PASSWORD_HASHES_AT_ONCE",
    default=0,
    most=1000,
    help="How many passwords one process hashes at once, each in 19 MiB; 0 means as many as there are CPUs.",
)
_signing_algorithm = env.choice(
    "SIGNING_ALGORITHM",
    default="ES256",
    choices=("ES256", "Ed25519", "RS256"),
    help="What new access tokens are signed with: ES256, Ed25519 or RS256.",
)
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["permissions.backends.RoleBackend"]
#: Every key is optional; ``permissions.conf`` describes them one by one.
PERMISSIONS: dict[str, Any] = {}  # Any: values of several types
ANONYMOUS_USER_NAME = None  # django-guardian makes no user that stands for strangers
# The house's own backend answers from django-guardian's tables too, and faster.
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]
# ``project.middleware.SecurityMiddleware`` stands for the two of Django that these miss by their names.
SILENCED_SYSTEM_CHECKS += ["security.W001", "security.W002"]
PASSWORD_HASHERS = ["accounts.passwords.Argon2idHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "accounts.passwords.PlainTextValidator"},
    {"NAME": "accounts.passwords.MinimumLengthValidator"},
    {"NAME": "accounts.passwords.MaximumLengthValidator", "OPTIONS": {"max_length": 256}},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "accounts.passwords.ContextWordsValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.passwords.BreachedPasswordValidator"},
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
ACCOUNTS: dict[str, Any] = {  # Any: numbers, words and paths, which accounts.conf reads
    #: With which new access tokens are signed; those of another algorithm verify until they have expired.
    "SIGNING_ALGORITHM": _signing_algorithm,
    #: With which ID tokens can be signed, as each client wants it; RS256 must be among them. Their keys are made when
    #: they are first needed.
    "ID_TOKEN_ALGORITHMS": ("RS256", "ES256", "EdDSA"),
    #: A key that is to sign is published for at least so long before, in seconds.
    "KEY_PUBLISH_SECONDS": 24 * 3600,
    #: A key that has signed for so long gives way to another one, in seconds.
    "KEY_ROTATION_SECONDS": 90 * 24 * 3600,
    #: For so long after its key has signed last an ID token is known as a hint, in seconds: as long as the session on
    #: the pages that it is about can last.
    "ID_TOKEN_HINT_SECONDS": 90 * 24 * 3600,
    #: Life of an access token, in seconds.
    "ACCESS_TOKEN_SECONDS": 600,
    #: A session ends when its refresh token lies unused for this long, in seconds.
    "REFRESH_IDLE_SECONDS": 14 * 24 * 3600,
    #: A session ends this long after sign-in, whatever happens, in seconds.
    "SESSION_ABSOLUTE_SECONDS": 90 * 24 * 3600,
    #: For so long after its use a refresh token gives the same successor again, in seconds; then it ends the session.
    "REFRESH_GRACE_SECONDS": 10,
    #: A session on the pages ends when nothing is done in it for this long, in seconds.
    "BROWSER_IDLE_SECONDS": 14 * 24 * 3600,
    #: Who changes the address or deletes the account must have signed in no longer ago than this, in seconds.
    "REAUTHENTICATION_SECONDS": 5 * 60,
    #: Life of the link in a verification mail, in seconds; at most a day.
    "EMAIL_VERIFICATION_SECONDS": 24 * 3600,
    #: Life of the link that changes the address, in seconds; at most a day.
    "EMAIL_CHANGE_SECONDS": 24 * 3600,
    #: Life of the link that lets a new password be chosen, in seconds; at most a day.
    "PASSWORD_RESET_SECONDS": 3600,
    #: An account whose address nobody confirms is deleted after this long, in seconds.
    "UNVERIFIED_ACCOUNT_SECONDS": 7 * 24 * 3600,
    #: Ended sessions can be looked at for this long, in seconds.
    "ENDED_SESSION_SECONDS": 30 * 24 * 3600,
    #: Least length of a password, in characters.
    "PASSWORD_MINIMUM_LENGTH": 15,
    #: Words that belong to this installation: a password can't be little more than these, its host, or its user's name.
    "CONTEXT_WORDS": _context_words,
    #: File of breached passwords, and address of a range API; each is asked if it is not empty.
    "BREACHED_PASSWORDS_FILE": _breached_passwords_file,
    "BREACHED_PASSWORDS_URL": _breached_passwords_url,
    #: Whether a new password is refused when one of them can't answer.
    "BREACHED_PASSWORDS_REQUIRED": _breached_passwords_required,
    #: How many passwords a process hashes at once; 0: as many as there are CPUs.
    "PASSWORD_HASHES_AT_ONCE": _password_hashes_at_once,
    #: How long another one waits for its turn before it is refused, in seconds.
    "PASSWORD_HASH_WAIT_SECONDS": 3,
    #: How often one may try, where that differs from ``accounts.throttles.doors``: door, then ADDRESS, ACCOUNT or PAIR,
    #: then what differs of FREE, FIRST_DELAY_SECONDS, FACTOR, LONGEST_DELAY_SECONDS, RECOVERY_SECONDS; None: no limit.
    "LIMITS": {},
}

# --- OAuth -----------------------------------------------------------------------------------------------------------
OAUTH = oauth.OAUTH
OAUTH2_PROVIDER_APPLICATION_MODEL = "oauth.Application"
OAUTH2_PROVIDER_GRANT_MODEL = "oauth.Grant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "oauth.AccessToken"  # noqa: S105 - the name of a model
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "oauth.RefreshToken"  # noqa: S105 - the name of a model
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "oauth.IDToken"  # noqa: S105 - the name of a model
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "oauth.DeviceGrant"
OAUTH2_PROVIDER = {
    **oauth.OAUTH2_PROVIDER,
    "ACCESS_TOKEN_EXPIRE_SECONDS": ACCOUNTS["ACCESS_TOKEN_SECONDS"],
    "ID_TOKEN_EXPIRE_SECONDS": ACCOUNTS["ACCESS_TOKEN_SECONDS"],
    "OIDC_ISS_ENDPOINT": BASE_URL,
}

# --- Jobs ------------------------------------------------------------------------------------------------------------
env.group("Jobs")
_job_connection = env.text("JOB_CONNECTION", help="database or redis; without it redis where REDIS_URL is set.")
if _job_connection not in {"", "database", "redis"}:
    env.reject("JOB_CONNECTION", "must be database or redis")
elif _job_connection == "redis" and not REDIS_URL:
    env.reject("JOB_CONNECTION", "is redis, which needs REDIS_URL")
_job_alert_emails = env.addresses(
    "JOB_ALERT_EMAILS",
    help="Addresses that get a mail when jobs wait for too long, comma-separated. Empty: nobody does.",
)
_metrics_token = env.text(
    "METRICS_TOKEN",
    help="Bearer token with which Prometheus reads /metrics: 32 random characters or more. Empty: none.",
)
_redis_connection = {
    "DRIVER": "jobs.drivers.redis.RedisDriver",
    "COORDINATOR": "jobs.coordination.redis.RedisCoordinator",
    "RQ_QUEUE": "default",
}
JOBS: dict[str, Any] = {  # Any: words and numbers, which jobs.conf and project.health read
    #: Modules that define job classes; only what they register can be run by a worker.
    "MODULES": ["jobs.callbacks", "jobs.tasks", "jobs.examples", "accounts.jobs", "oauth.jobs"],
    #: Connection that jobs take where neither they nor their queue name another.
    "CONNECTION": _job_connection or ("redis" if REDIS_URL else "database"),
    #: Where jobs can be kept, by name. ``DRIVER`` is the import path of the driver; the rest is its own.
    "CONNECTIONS": {
        "database": {"DRIVER": "jobs.drivers.database.DatabaseDriver"},
        **({"redis": _redis_connection} if REDIS_URL else {}),
        "sync": {"DRIVER": "jobs.drivers.sync.SyncDriver"},
    },
    #: Queues with what holds for their jobs: the arguments of ``jobs.queues.define_queue``.
    "QUEUES": {"default": {}, "high": {}, "low": {}, "emails": {}, "notifications": {}},
    #: Pools of worker processes that ``queue_supervise`` runs, by name; docs/jobs.md tells what each may say.
    "SUPERVISORS": {
        "house": {"queues": ["high", "default", "emails", "notifications", "low"], "max_processes": 8},
    },
    #: Import paths of middleware that every job passes, the outermost first.
    "MIDDLEWARE": [],
    #: Name of the connection that keeps locks and limits; empty: that of ``CONNECTION``.
    "COORDINATION": "",
    #: What holds where neither a job nor its class nor its queue says anything: tries, seconds between them, seconds
    #: that one may take, and whether dispatch waits for the end of the transaction.
    "TRIES": 3,
    "BACKOFF": (10, 60, 300),
    "TIMEOUT_SECONDS": 60,
    "AFTER_COMMIT": True,
    #: Whether a job for Redis that is sent within a transaction, or while Redis is away, waits in a table until Redis
    #: has it. Otherwise it is lost where the process dies between commit and sending, and dispatch fails while Redis is
    #: away.
    "OUTBOX": True,
    #: Pause of an idle worker between two looks at the queue, in seconds.
    "SLEEP_SECONDS": 0.5,
    #: Whether stores tell idle workers of new jobs (NOTIFY on PostgreSQL, PUBLISH on Redis), which then start at once.
    #: False where PgBouncer shares the connections of the database between transactions: LISTEN doesn't work there.
    "NOTIFY": True,
    #: ``/readyz`` fails when the oldest job that is due has waited longer than this, in seconds.
    "MAX_WAIT_SECONDS": 300,
    #: Where the oldest due job of a queue, or the oldest of the outbox, has waited for longer than this, in seconds, a
    #: warning is logged, the signal ``long_wait_detected`` sent and a mail to each of these addresses; 0: never. Again
    #: only after a while, in seconds. LONG_WAITS says for single queues after how many seconds.
    "LONG_WAIT_SECONDS": 60,
    "LONG_WAITS": {},
    "ALERT_EMAILS": _job_alert_emails,
    "ALERT_WINDOW_SECONDS": 300,
    #: A worker holds what it has claimed for so long, and renews that four times as often; a dead one's jobs go to
    #: others then. In seconds.
    "LEASE_SECONDS": 20,
    #: How many jobs with an asynchronous handle() each worker process runs at a time.
    "CONCURRENCY": 100,
    #: So often a worker may die under one job, or lose its lease, and the job is taken up again; once more and it goes
    #: to the failed jobs. Such tries don't count against the job's own.
    "MAX_CRASHES": 3,
    #: Longest stored record of a job, in bytes; pass an id instead of a document.
    "MAX_PAYLOAD_BYTES": 1_000_000,
    #: Figures of queues and classes of jobs are kept for this long by the minute, in hours, and a month by the hour.
    "METRICS_HOURS": 24,
    #: Jobs that are done stay listed for this long, in minutes; each process lists at most so many in a second, and
    #: counts all. Tries that went wrong are all listed, for a week.
    "HISTORY_MINUTES": 60,
    "HISTORY_PER_SECOND": 100,
    #: Names of classes, such as "accounts.SendEmailJob", and tags: such jobs are listed apart when they are done.
    "SILENCED": [],
    #: Who sends it as a bearer token may read ``/metrics``, as may who is signed in and may view the dashboard.
    "METRICS_TOKEN": _metrics_token,
}
#: What django-rq knows: one server, named by every queue of JOBS, so that its pages show each.
RQ_QUEUES: dict[str, Any] = (  # Any: django-rq's own shape
    {name: {"URL": REDIS_URL, "SERIALIZER": "json"} for name in JOBS["QUEUES"]} if REDIS_URL else {}
)
RQ = {"WORKER_CLASS": "jobs.rq_entry.RQWorker"}
if REDIS_URL:
    INSTALLED_APPS = [*INSTALLED_APPS, "django_rq"]

#: Tasks of ``django.tasks`` run as jobs; QUEUES: [] takes any queue. OPTIONS may hold CONNECTION and RESULT_SECONDS.
TASKS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "jobs.tasks.JobsBackend", "QUEUES": []}}  # Any: Django's

# --- The API ---------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {**api.REST_FRAMEWORK, "NUM_PROXIES": TRUSTED_PROXY_COUNT}
SPECTACULAR_SETTINGS = api.SPECTACULAR_SETTINGS

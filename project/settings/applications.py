"""What the house is made of, and the way of a request through it."""

from project.settings.environment import BASE_DIR

INSTALLED_APPS = [
    "project.apps.ProjectConfig",
    "project.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "oauth2_provider",
    "guardian",
    "permissions.apps.PermissionsConfig",
    "jobs.apps.JobsConfig",
    "accounts.apps.AccountsConfig",
    "oauth.apps.OauthConfig",
]
MIDDLEWARE = [
    "project.middleware.RequestIdMiddleware",
    "project.middleware.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "project.middleware.NullCharacterMiddleware",
    "project.middleware.BodySizeMiddleware",
    "project.browsers.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "project.browsers.AuthenticationMiddleware",
    "accounts.middleware.BrowserSessionMiddleware",
    "permissions.middleware.ScopeMiddleware",
    "project.browsers.MessageMiddleware",
    "project.middleware.DomainErrorMiddleware",
]
#: How the addresses begin at which no cookie means anything: those of programs; see ``project.browsers``.
PROGRAM_PATHS = (
    "/api/",
    "/.well-known/",
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/device-authorization",
    "/oauth/userinfo",
    "/oauth/jwks",
    "/healthz",
    "/readyz",
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

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
    "project.middleware.SecurityHeadersMiddleware",
    # Before the redirect to HTTPS, which answers without asking what comes after it.
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "project.middleware.NullCharacterMiddleware",
    "project.middleware.BodySizeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.BrowserSessionMiddleware",
    "permissions.middleware.ScopeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "project.middleware.DomainErrorMiddleware",
]
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

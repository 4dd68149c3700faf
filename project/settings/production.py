"""Settings of a public installation: HTTPS only, every secret given, nothing by default that should be chosen."""

from urllib.parse import urlsplit

from django.http.request import split_domain_port, validate_host

from project.logging import configure_logging
from project.settings.base import *  # noqa: F403 - a settings module is its names
from project.settings.base import (
    ALLOWED_HOSTS,
    BASE_URL,
    DATABASES,
    DEBUG,
    JOBS,
    LOG_FORMAT,
    LOG_LEVEL,
    MAILERS,
    SECRET_KEY,
    SECRET_KEY_FALLBACKS,
    SEED_PASSWORD,
    env,
)

_PLACEHOLDERS = ("change", "secret", "django-insecure", "example", "placeholder", "default", "your-", "test-suite")


def _weakness(secret: str) -> str:
    """Return why a secret is not good enough, or nothing."""
    if not secret:
        return "is missing; make one with: python -c 'import secrets; print(secrets.token_urlsafe(64))'"
    if len(secret) < 50:
        return "is too short; it needs at least 50 random characters"
    is_repeated = any(secret[i : i + 8] in secret[i + 1 :] for i in range(len(secret) - 8))
    is_counted = any("".join(map(chr, range(ord(c), ord(c) + 6))) in secret for c in set(secret))
    is_placeholder = any(word in secret.lower() for word in _PLACEHOLDERS)
    if len(set(secret)) < 16 or is_repeated or is_counted or is_placeholder:
        return "looks like a placeholder; make a random one"
    return ""


if weakness := _weakness(SECRET_KEY):
    env.reject("SECRET_KEY", weakness)
for fallback in SECRET_KEY_FALLBACKS:
    if weakness := _weakness(fallback):
        env.reject("SECRET_KEY_FALLBACKS", f"one of them {weakness}")
if urlsplit(BASE_URL).scheme != "https":
    env.reject("BASE_URL", "must be the public https:// origin, such as https://id.example.com")
if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
    env.reject("ALLOWED_HOSTS", "must list the host names of this installation, without *")
elif any("/" in name or (":" in name and not name.startswith("[")) for name in ALLOWED_HOSTS):
    env.reject("ALLOWED_HOSTS", "must list host names, such as id.example.com, without https:// and port")
elif urlsplit(BASE_URL).scheme == "https" and not validate_host(
    split_domain_port(urlsplit(BASE_URL).netloc)[0], ALLOWED_HOSTS
):
    env.reject("ALLOWED_HOSTS", "must list the host of BASE_URL too; every request for it would be refused")
if not MAILERS:
    env.reject("EMAIL_URL", "is missing; accounts can't be verified without mail")
if DEBUG:
    env.reject("DEBUG", "must be off in production")
if SEED_PASSWORD:
    env.reject("SEED_PASSWORD", "must not be set in production: seeded users are for trying the house out")
if JOBS["METRICS_TOKEN"] and len(JOBS["METRICS_TOKEN"]) < 32:
    env.reject("METRICS_TOKEN", "is too short; it needs at least 32 random characters")
if not DATABASES["default"].get("ENGINE"):
    env.reject("DATABASE_URL", "is missing")
env.seal()

DEV_PAGES = False
configure_logging(level=LOG_LEVEL, style="text" if LOG_FORMAT == "text" else "json")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
SECURE_SSL_REDIRECT = True
# Probes come from inside, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 63_072_000  # two years
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-session"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_TRUSTED_ORIGINS = [BASE_URL]

"""A Django project that signs people in with mozilla-django-oidc, and shows who they are.

Its one argument is JSON: ``house``, ``client_id`` and ``client_secret``. It prints the port that it listens on.
"""

import json
import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def show_user(request: HttpRequest) -> HttpResponse:
    """Say who is signed in."""
    return HttpResponse(getattr(request.user, "email", "nobody"))


def serve(house: str, client_id: str, client_secret: str) -> None:
    """Serve the site until the process is ended."""
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "mozilla_django_oidc"],
        LOGIN_REDIRECT_URL="/",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        OIDC_OP_AUTHORIZATION_ENDPOINT=f"{house}/oauth/authorize",
        OIDC_OP_JWKS_ENDPOINT=f"{house}/oauth/jwks",
        OIDC_OP_TOKEN_ENDPOINT=f"{house}/oauth/token",
        OIDC_OP_USER_ENDPOINT=f"{house}/oauth/userinfo",
        OIDC_RP_CLIENT_ID=client_id,
        OIDC_RP_CLIENT_SECRET=client_secret,
        OIDC_RP_SIGN_ALGO="RS256",
        OIDC_USE_PKCE=True,
        SECRET_KEY="of a site that lives for one test",
        SESSION_COOKIE_NAME="site",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    )
    # This module of theirs reads the settings.
    settings.ROOT_URLCONF = (path("oidc/", include("mozilla_django_oidc.urls")), path("", show_user))
    django.setup()
    call_command("migrate", verbosity=0)
    with make_server("127.0.0.1", 0, get_wsgi_application()) as server:
        print(server.server_port, flush=True)  # noqa: T201 - that is how the test learns it
        server.serve_forever()


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))

"""The WSGI application, for granian or any other server."""

import os
from collections.abc import Iterable
from functools import lru_cache
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters


class ContentTypeGuard:
    """Hand Django no Content-Type that it can't read.

    Django reads the header while it builds the request, outside of every middleware and error page, so a charset such
    as ``undefined`` would end in a bare 500. A body with such a header counts as one of unknown type, which every view
    refuses. The house speaks UTF-8 alone (RFC 8259 §8.1).
    """

    def __init__(self, application: WSGIApplication) -> None:
        """Keep the application."""
        self.application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not _is_readable(environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"] = "application/octet-stream"
        return self.application(environ, start_response)


@lru_cache(maxsize=64)
def _is_readable(content_type: str) -> bool:
    try:
        _, parameters = parse_header_parameters(content_type)
    except ValueError:
        return False
    return parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.production")
application = ContentTypeGuard(get_wsgi_application())

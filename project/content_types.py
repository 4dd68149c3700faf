"""Requests whose Content-Type Django can't read."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.utils.http import parse_header_parameters

#: Under which a request keeps the Content-Type that was taken from it.
UNREAD_TYPE: Final = "gatehouse.unread_content_type"


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
        if not _is_readable(given := environ.get("CONTENT_TYPE", "")):
            environ[UNREAD_TYPE] = given
            environ["CONTENT_TYPE"] = "application/octet-stream"
        return self.application(environ, start_response)


@lru_cache(maxsize=64)
def _is_readable(content_type: str) -> bool:
    try:
        _, parameters = parse_header_parameters(content_type)
    except ValueError:
        return False
    return parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}

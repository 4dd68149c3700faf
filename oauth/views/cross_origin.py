"""Scripts of other origins at our endpoints (CORS): no cookie opens anything there, only what they hold."""

from typing import ClassVar, Literal, override

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.views.generic import View

from oauth.selectors import is_allowed_origin

#: For how long a browser need not ask again what it may send, in seconds.
_PREFLIGHT_SECONDS = "600"


class CrossOriginView(View):
    """An endpoint whose answers scripts may read."""

    #: Of which other origins: those that clients are registered with, every one, or none.
    readers: ClassVar[Literal["registered", "all", "none"]] = "registered"

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Answer, and say who may read it."""
        response = super().dispatch(request, *args, **kwargs)
        if self.readers == "all":
            response["Access-Control-Allow-Origin"] = "*"
        if self.readers != "registered":
            return response
        patch_vary_headers(response, ["Origin"])
        origin = request.META.get("HTTP_ORIGIN", "")
        if origin and is_allowed_origin(origin=origin):
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After"
        return response

    @override
    def options(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Say what may be sent; only who is let in is told it with the header of ``dispatch``."""
        response = HttpResponse()
        methods = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        response["Allow"] = response["Access-Control-Allow-Methods"] = methods
        response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return response

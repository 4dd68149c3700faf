"""What the server says of itself."""

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.generic import View

from oauth.scopes import ClientScopes


class MetadataView(View):
    """Authorization server metadata (RFC 8414): what works here, and nothing else."""

    http_method_names = ["get", "head", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the metadata; any page may read them."""
        return JsonResponse(describe_server(), headers={"Access-Control-Allow-Origin": "*"})


def describe_server() -> Mapping[str, object]:
    """Return the metadata document (RFC 8414 §2, RFC 9207 §3)."""
    secret_methods = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": settings.BASE_URL,
        "authorization_endpoint": _address("authorize"),
        "token_endpoint": _address("token"),
        "introspection_endpoint": _address("introspect"),
        "revocation_endpoint": _address("revoke-token"),
        "scopes_supported": ClientScopes().get_available_scopes(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*secret_methods, "none"],
        "introspection_endpoint_auth_methods_supported": secret_methods,
        "revocation_endpoint_auth_methods_supported": [*secret_methods, "none"],
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": settings.BASE_URL + reverse("docs"),
    }


def _address(name: str) -> str:
    return settings.BASE_URL + reverse(f"oauth2_provider:{name}")

"""What the server says of itself, and the keys with which it signs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, override

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page

from accounts import keys
from accounts.conf import get_settings as get_accounts_settings
from oauth.backends import get_backend
from oauth.claims import ACR_VALUES, ID_TOKEN_CLAIMS, get_claim_scopes
from oauth.prompts import Prompt
from oauth.scopes import ClientScopes
from oauth.validators import FORM_POST
from oauth.views.cross_origin import CrossOriginView

#: For how long a copy is good, in seconds: when a key is in wrong hands, everybody must know soon.
_COPY_SECONDS: Final = 300
#: Member of the metadata to the name of the address; one that isn't served is left out.
_ENDPOINTS: Final[Mapping[str, str]] = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "userinfo_endpoint": "user-info",
    "jwks_uri": "jwks-info",
    "introspection_endpoint": "introspect",
    "revocation_endpoint": "revoke-token",
    "device_authorization_endpoint": "device-authorization",
    "end_session_endpoint": "rp-initiated-logout",
    "registration_endpoint": "dcr-register",
}
_SECRET_METHODS: Final = ["client_secret_basic", "client_secret_post"]


@method_decorator([csrf_exempt, conditional_page], name="dispatch")
class DocumentView(CrossOriginView, ABC):
    """A public document in JSON, which may be kept for a while and is sent again only when it has changed."""

    readers = "all"
    http_method_names = ["get", "head", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the document."""
        return JsonResponse(self.describe(), headers={"Cache-Control": f"public, max-age={_COPY_SECONDS}"})

    @abstractmethod
    def describe(self) -> Mapping[str, object]:
        """Return what it says."""


class ServerMetadataView(DocumentView):
    """The server's metadata, by RFC 8414 and by OpenID Connect Discovery: what works here, and nothing else."""

    @override
    def describe(self) -> Mapping[str, object]:
        """Return the metadata."""
        return describe_server()


class ResourceMetadataView(DocumentView):
    """The metadata of the API as a protected resource (RFC 9728)."""

    @override
    def describe(self) -> Mapping[str, object]:
        """Return what clients of the API need to know (RFC 9728 §2)."""
        return {
            "resource": settings.BASE_URL,
            "resource_name": "Gatehouse",
            "authorization_servers": [settings.BASE_URL],
            "scopes_supported": ClientScopes().get_available_scopes(),
            "bearer_methods_supported": ["header"],
            "resource_documentation": settings.BASE_URL + reverse("docs"),
        }


class KeySetView(DocumentView):
    """The public keys (RFC 7517 §5) with which tokens are signed."""

    @override
    def describe(self) -> Mapping[str, object]:
        """Return the key set."""
        return {"keys": keys.list_public_keys()}


def describe_server() -> Mapping[str, object]:
    """Return what is true of the server, for RFC 8414 §2 and OpenID Connect Discovery §3 alike (RFC 8414 §5)."""
    server = get_backend().server
    return {
        "issuer": settings.BASE_URL,
        **_find_endpoints(),
        "scopes_supported": ClientScopes().get_available_scopes(),
        "response_types_supported": list(server.response_types),
        "response_modes_supported": ["query", FORM_POST],
        "grant_types_supported": server.list_grant_types(),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(get_accounts_settings().id_token_algorithms),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*_SECRET_METHODS, "none"],
        "introspection_endpoint_auth_methods_supported": _SECRET_METHODS,
        "revocation_endpoint_auth_methods_supported": [*_SECRET_METHODS, "none"],
        "acr_values_supported": list(ACR_VALUES),
        "prompt_values_supported": list(Prompt),
        "claim_types_supported": ["normal"],
        "claims_supported": sorted(ID_TOKEN_CLAIMS | get_claim_scopes().keys()),
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        # Left out, it would mean true.
        "request_uri_parameter_supported": False,
        "ui_locales_supported": [settings.LANGUAGE_CODE],
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": [settings.BASE_URL],
        "service_documentation": settings.BASE_URL + reverse("docs"),
    }


def _find_endpoints() -> dict[str, str]:
    found = {}
    for member, name in _ENDPOINTS.items():
        try:
            found[member] = settings.BASE_URL + reverse(f"oauth2_provider:{name}")
        except NoReverseMatch:
            continue
    return found

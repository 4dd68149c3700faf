"""The API and its description."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {  # Any: Django REST framework's own shape
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.drf.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["project.api.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "project.api.ProblemContentNegotiation",
    "DEFAULT_SCHEMA_CLASS": "permissions.drf.RequirementSchema",
    "DEFAULT_PAGINATION_CLASS": "project.api.Pagination",
    "EXCEPTION_HANDLER": "project.api.handle_exception",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Gatehouse",
    "DESCRIPTION": "Accounts, OAuth, permissions and jobs. Errors are `application/problem+json` (RFC 9457).",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "project.api.describe_problems",
    ],
}

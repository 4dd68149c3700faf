"""The authorization server: what the house decides, and what django-oauth-toolkit reads."""

from typing import Any

OAUTH: dict[str, Any] = {  # Any: each setting has its own type
    #: Scope to the plain sentence that the consent page shows; a scope that isn't here doesn't exist.
    "SCOPES": {
        "openid": "Know that it is you",
        "profile": "See your name and your e-mail address",
        "email": "See your e-mail address",
        "offline_access": "Go on while you are away",
        "users:read": "See the list of users and their roles",
        "roles:read": "See the roles and what each permits",
        "roles:write": "Create roles, and change who has which role",
        "clients:read": "See the apps that are registered here, and how they are set up",
        "clients:write": "Register, change and delete apps, and give them new secrets",
        "audit:read": "Read the audit log: who did what, when and from which address",
        "jobs:read": "See background jobs, queues and workers",
        "jobs:write": "Retry and cancel background jobs, let queues rest, and stop workers",
    },
    #: Scopes that the consent page marks as powerful and shows first.
    "DANGEROUS_SCOPES": ["roles:write", "clients:write", "audit:read", "jobs:write"],
    #: Granted when a client asks for no scope.
    "DEFAULT_SCOPES": ["profile"],
    #: What a person allowed ends after so many seconds, however often it is refreshed.
    "SESSION_SECONDS": 90 * 24 * 3600,
    #: After so many seconds a person is asked again what they allow a client; None means never.
    "CONSENT_SECONDS": 365 * 24 * 3600,
    #: Claims about people that the project adds to those of OpenID Connect, to the scope that gives each.
    "CLAIMS": {},
    #: Import path of a function of user, client id and granted scopes that returns those claims; empty for none.
    "CLAIMS_HOOK": "",
    #: For so many seconds a device waits for its user.
    "DEVICE_CODE_SECONDS": 15 * 60,
    #: Whether clients that are registered for it may take people's passwords (RFC 6749 §4.3), against RFC 9700 §2.4.
    "ALLOW_PASSWORD_GRANT": False,
}
OAUTH2_PROVIDER: dict[str, Any] = {  # Any: as above
    "OAUTH2_VALIDATOR_CLASS": "oauth.validators.Validator",
    "OAUTH2_BACKEND_CLASS": "oauth.backends.Backend",
    "OAUTH2_SERVER_CLASS": "oauth.backends.Server",
    "SCOPES_BACKEND_CLASS": "oauth.scopes.ClientScopes",
    "SCOPES": OAUTH["SCOPES"],
    "DEFAULT_SCOPES": OAUTH["DEFAULT_SCOPES"],
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 24 * 3600,
    # A device asks at most once in so many seconds whether its user has decided.
    "DEVICE_FLOW_INTERVAL": 5,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REQUEST_APPROVAL_PROMPT": "force",
    "PKCE_REQUIRED": True,
    # "http" is for loopback addresses only, which the Application model enforces (RFC 8252 §7.3).
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "OAUTH2_GRANT_TYPES_SUPPORTED": [
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
    "OAUTH2_RESPONSE_TYPES_SUPPORTED": ["code"],
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}

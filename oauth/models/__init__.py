"""The tables of the authorization server; those of django-oauth-toolkit are swapped for ours."""

from oauth.models.clients import (
    CLIENTS_FACT,
    LOOPBACK_HOSTS,
    Application,
    ClientSecret,
    GrantType,
    find_redirect_uri_fault,
    get_client_fact_key,
    is_loopback,
    is_plain_origin,
)
from oauth.models.consents import Consent
from oauth.models.grants import DeviceGrant, Grant, StoredRequest
from oauth.models.redirects import Difference, Verdict, judge_redirect_uri
from oauth.models.tokens import PERSONAL_CLIENT_ID, AccessToken, IDToken, PersonalAccessToken, RefreshToken

__all__ = [
    "CLIENTS_FACT",
    "LOOPBACK_HOSTS",
    "PERSONAL_CLIENT_ID",
    "AccessToken",
    "Application",
    "ClientSecret",
    "Consent",
    "DeviceGrant",
    "Difference",
    "Grant",
    "GrantType",
    "IDToken",
    "PersonalAccessToken",
    "RefreshToken",
    "StoredRequest",
    "Verdict",
    "find_redirect_uri_fault",
    "get_client_fact_key",
    "is_loopback",
    "is_plain_origin",
    "judge_redirect_uri",
]

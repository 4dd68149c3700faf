"""Every write of the authorization server: clients, consents, codes, tokens, and their end."""

from oauth.services.clients import (
    RegisteredClient,
    check_client_secret,
    end_client_secret,
    ensure_client,
    register_client,
    renew_client_secret,
    save_new_client,
    seed_clients,
)
from oauth.services.codes import CodeRequest, Presence, create_code, redeem_code, void_code
from oauth.services.consents import give_consent
from oauth.services.issuing import Asked, Issued, issue_for_client, issue_for_person, issue_for_refresh
from oauth.services.revocation import (
    end_consent,
    kill_all_tokens,
    revoke_client,
    revoke_consent,
    revoke_lost_rights,
    revoke_opaque_token,
    revoke_token,
    revoke_user,
)

__all__ = [
    "Asked",
    "CodeRequest",
    "Issued",
    "Presence",
    "RegisteredClient",
    "check_client_secret",
    "create_code",
    "end_client_secret",
    "end_consent",
    "ensure_client",
    "give_consent",
    "issue_for_client",
    "issue_for_person",
    "issue_for_refresh",
    "kill_all_tokens",
    "redeem_code",
    "register_client",
    "renew_client_secret",
    "revoke_client",
    "revoke_consent",
    "revoke_lost_rights",
    "revoke_opaque_token",
    "revoke_token",
    "revoke_user",
    "save_new_client",
    "seed_clients",
    "void_code",
]

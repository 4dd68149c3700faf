"""Every write of the authorization server: clients, codes, tokens, and their end."""

from oauth.services.clients import (
    RegisteredClient,
    ensure_client,
    register_client,
    renew_client_secret,
    save_new_client,
    seed_clients,
)
from oauth.services.grants import (
    create_code,
    lock_refresh_token,
    redeem_code,
    store_access_token,
    store_token_pair,
    void_code,
)
from oauth.services.revocation import (
    kill_client_tokens,
    kill_token,
    revoke_access_token,
    revoke_client,
    revoke_family,
    revoke_lost_scopes,
    revoke_token,
    revoke_user,
)

__all__ = [
    "RegisteredClient",
    "create_code",
    "ensure_client",
    "kill_client_tokens",
    "kill_token",
    "lock_refresh_token",
    "redeem_code",
    "register_client",
    "renew_client_secret",
    "revoke_access_token",
    "revoke_client",
    "revoke_family",
    "revoke_lost_scopes",
    "revoke_token",
    "revoke_user",
    "save_new_client",
    "seed_clients",
    "store_access_token",
    "store_token_pair",
    "void_code",
]

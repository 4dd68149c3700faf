"""Every write of the authorization server: clients, consents, codes, tokens, and their end."""

from oauth.services.clients import (
    RegisteredClient,
    change_client,
    check_client_secret,
    delete_client,
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
from oauth.services.logout import LogoutRequest, end_client_of_session, read_logout_request
from oauth.services.personal_tokens import (
    NewPersonalToken,
    create_personal_token,
    sweep_personal_tokens,
    use_personal_token,
)
from oauth.services.requests import store_request
from oauth.services.revocation import (
    deny_waiting_device,
    end_consent,
    end_personal_token,
    kill_all_tokens,
    revoke_client,
    revoke_connection,
    revoke_consent,
    revoke_lost_rights,
    revoke_opaque_token,
    revoke_own_token,
    revoke_token,
    revoke_user,
    void_waiting,
)
from oauth.services.sweeping import sweep, sweep_aside

__all__ = [
    "Asked",
    "CodeRequest",
    "Issued",
    "LogoutRequest",
    "NewPersonalToken",
    "Presence",
    "RegisteredClient",
    "change_client",
    "check_client_secret",
    "create_code",
    "create_personal_token",
    "delete_client",
    "deny_waiting_device",
    "end_client_of_session",
    "end_client_secret",
    "end_consent",
    "end_personal_token",
    "ensure_client",
    "give_consent",
    "issue_for_client",
    "issue_for_person",
    "issue_for_refresh",
    "kill_all_tokens",
    "read_logout_request",
    "redeem_code",
    "register_client",
    "renew_client_secret",
    "revoke_client",
    "revoke_connection",
    "revoke_consent",
    "revoke_lost_rights",
    "revoke_opaque_token",
    "revoke_own_token",
    "revoke_token",
    "revoke_user",
    "save_new_client",
    "seed_clients",
    "store_request",
    "sweep",
    "sweep_aside",
    "sweep_personal_tokens",
    "use_personal_token",
    "void_code",
    "void_waiting",
]

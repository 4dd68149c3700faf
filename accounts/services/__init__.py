"""What may be done with accounts: register, verify, sign in, refresh, sign out, change, delete."""

from accounts.services.credentials import Proof, check_credentials, check_own_password, check_password_strength
from accounts.services.export import export_account
from accounts.services.keys import KeyRotation, maintain_keys, rotate_keys
from accounts.services.links import make_email_token
from accounts.services.passwords import (
    change_password,
    request_password_reset,
    reset_password,
    set_password,
    start_password_reset,
)
from accounts.services.profile import (
    confirm_email_change,
    delete_account,
    request_email_change,
    require_recent_authentication,
    update_profile,
)
from accounts.services.registration import (
    ensure_user,
    forget_registration,
    register_user,
    request_email_verification,
    resend_verification,
    verify_email,
)
from accounts.services.sessions import (
    Device,
    TokenPair,
    end_all_sessions,
    end_other_sessions,
    end_own_session,
    end_session,
    issue_session_token,
    open_api_session,
    open_browser_session,
    reauthenticate,
    refresh,
    sign_in,
    sign_out,
    sign_out_everywhere,
    use_browser_session,
)

__all__ = [
    "Device",
    "KeyRotation",
    "Proof",
    "TokenPair",
    "change_password",
    "check_credentials",
    "check_own_password",
    "check_password_strength",
    "confirm_email_change",
    "delete_account",
    "end_all_sessions",
    "end_other_sessions",
    "end_own_session",
    "end_session",
    "ensure_user",
    "export_account",
    "forget_registration",
    "issue_session_token",
    "maintain_keys",
    "make_email_token",
    "open_api_session",
    "open_browser_session",
    "reauthenticate",
    "refresh",
    "register_user",
    "request_email_change",
    "request_email_verification",
    "request_password_reset",
    "require_recent_authentication",
    "resend_verification",
    "reset_password",
    "rotate_keys",
    "set_password",
    "sign_in",
    "sign_out",
    "sign_out_everywhere",
    "start_password_reset",
    "update_profile",
    "use_browser_session",
    "verify_email",
]

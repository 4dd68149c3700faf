"""Facts that the app announces, each after the commit that made it true.

All send ``user``, but for those where it isn't known yet whose address was typed: they send ``email``. The first two
send ``registration_id`` too.
"""

from django.dispatch import Signal

#: Somebody registered; the address is not verified yet.
user_registered = Signal()

#: Somebody tried to register an address that has an account.
registration_repeated = Signal()

#: The address of an account needs to be verified (again): an admin made the account or changed the address.
verification_requested = Signal()

#: An admin made an account, and its owner is to choose a password.
user_invited = Signal()

#: The person showed that the address is theirs.
email_verified = Signal()

#: The password of an account is another now, and all its sessions have ended.
password_changed = Signal()

#: Somebody asked to choose a new password for an address. Sends ``email``, as typed.
password_reset_requested = Signal()

#: Somebody asked for another verification mail to an address. Sends ``email``, as typed.
verification_resend_requested = Signal()

#: An admin asked that a user choose a new password.
password_reset_started = Signal()

#: The user asked to have another address. Sends ``email``, the new one, and ``session_id``, of the session that asks.
email_change_requested = Signal()

#: The account has another address now. Sends ``previous_email``.
email_changed = Signal()

#: Somebody signed in. Sends ``session``.
signed_in = Signal()

#: A refresh token was used twice, and its session has ended. Sends ``session``.
refresh_token_reused = Signal()

#: The account is gone. Sends ``user_id``, ``email`` and ``name``, and no ``user``.
account_deleted = Signal()

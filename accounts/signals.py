"""Facts that the app announces, each after the commit that made it true. All send ``user``.

The first two send ``registration_id`` too.
"""

from django.dispatch import Signal

#: Somebody registered; the address is not verified yet.
user_registered = Signal()

#: Somebody tried to register an address that has an account.
registration_repeated = Signal()

#: The address of an account needs to be verified (again): an admin made the account or changed the address.
verification_requested = Signal()

#: The person showed that the address is theirs.
email_verified = Signal()

#: The password of an account is another now, and all its sessions have ended.
password_changed = Signal()

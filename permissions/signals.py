"""Facts that other apps may react to.

Each is sent once the transaction has committed, one role at a time, whichever way the role was given or taken: by
``services``, in the admin, or through ``user.groups``. Deleting a role or a user sends nothing.
"""

from django.dispatch import Signal

#: A user got a role. Arguments: ``user_id``, ``role`` (its name), ``granted_by_id`` (None where nobody is known).
role_attached = Signal()
#: A user lost a role. Arguments: ``user_id``, ``role`` (its name).
role_detached = Signal()

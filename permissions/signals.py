"""Facts that other apps may react to.

Each is sent once the transaction has committed, whichever way the right was given or taken: by a verb, in the admin,
or through Django's own ``user.groups``, ``user.user_permissions`` and ``group.permissions``. Deleting a user sends
nothing.
"""

from django.dispatch import Signal

#: A user got roles. Arguments: ``user_id``, ``roles`` (their names, a tuple), ``guard``, ``team_id`` ("" means all
#: teams), ``expires_at`` (None means never), ``granted_by_id`` (None where nobody is known).
role_attached = Signal()
#: A user lost roles. Arguments: ``user_id``, ``roles``, ``guard``, ``team_id``, ``granted_by_id`` (who took them).
role_detached = Signal()
#: A user or role got permissions. Arguments: ``holder`` ("user" or "role"), ``holder_id``, ``permissions`` (their
#: names, a tuple), ``team_id``, ``granted_by_id``, and where it is for one row alone ``object`` (``app.model:key``).
permission_attached = Signal()
#: A user or role lost permissions. Arguments as above; ``granted_by_id`` is who took them.
permission_detached = Signal()
#: A user was forbidden permissions. Arguments: ``user_id``, ``permissions``, ``team_id``, ``granted_by_id``.
permission_forbidden = Signal()
#: A user is no longer forbidden permissions. Arguments as above.
permission_unforbidden = Signal()

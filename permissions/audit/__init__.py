"""The house's one audit log: who did what, to whom, when and from where.

``record`` writes an event with one INSERT inside the caller's transaction. A moment later the sealer (``seal``, which
``manage.py audit_seal --follow`` calls) joins it to a chain in which each event carries a keyed hash of itself and of
the one before, so that ``verify`` (``manage.py audit_verify``) finds what was edited, deleted or moved since. The keys
derive from ``SECRET_KEY``: who can only write the database can't mend the chain.
"""

from permissions.audit.reading import list_events, search_events
from permissions.audit.recording import Reference, record, record_each
from permissions.audit.sealer import Sealer
from permissions.audit.sealing import seal
from permissions.audit.verification import Fault, Verification, verify
from permissions.models.audit import AuditEvent

__all__ = [
    "AuditEvent",
    "Fault",
    "Reference",
    "Sealer",
    "Verification",
    "list_events",
    "record",
    "record_each",
    "seal",
    "search_events",
    "verify",
]

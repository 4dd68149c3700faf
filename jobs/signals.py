"""Facts about jobs.

Each is sent with ``sender=None`` and robustly: a receiver that raises is logged and stops nobody. All carry
``job_id: UUID``, ``job_class: str`` (the registered name) and ``queue: str``.
"""

from django.dispatch import Signal

#: A job was stored, by ``dispatch`` or by a retry; sent after the commit. Adds ``available_at: datetime``.
job_queued = Signal()
#: A job ran to its end. Adds ``attempt: int`` and ``duration: timedelta``.
job_processed = Signal()
#: A try went wrong and another follows. Adds ``attempt: int``, ``available_at: datetime`` and ``error: Exception``.
job_released = Signal()
#: A job was moved to the failed jobs. Adds ``attempts: int`` and ``error: Exception``.
job_failed = Signal()

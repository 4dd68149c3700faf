"""Facts about jobs, as Django signals.

Each is sent with ``sender=None`` and robustly: a receiver that raises is logged and stops nobody. Those about a job
carry ``job_id: UUID``, ``job_class: str`` (the registered name), ``queue: str`` and ``connection: str``.
"""

from django.dispatch import Signal

# --- Dispatch

#: A job is about to be stored. Sent before the commit. Adds ``actor_id: str``, empty where nobody was named.
job_queueing = Signal()
#: A job was stored, by ``dispatch`` or by a retry; sent after the commit. Adds ``available_at: datetime``.
job_queued = Signal()
#: A unique job was not stored, because one with its key waits or runs. Adds ``key: str``.
unique_job_skipped = Signal()
#: A job was dropped, because a later one with its key took its place. Adds ``key: str``.
job_debounced = Signal()

# --- Attempts. Those in which a try is told add ``attempt: int``.

#: A worker is about to look for a job. Carries ``worker: str`` and ``queues: Sequence[str]`` alone.
job_claiming = Signal()
#: A worker has claimed a job. Adds ``attempt``.
job_claimed = Signal()
#: A job is about to run. Adds ``attempt``.
job_processing = Signal()
#: A try is over, however it ended. Adds ``attempt`` and ``duration: timedelta``.
job_attempted = Signal()
#: A job ran to its end. Adds ``attempt`` and ``duration: timedelta``.
job_processed = Signal()
#: A job raised. Adds ``attempt`` and ``error: Exception``.
job_exception_occurred = Signal()
#: A job was put back for another try. Adds ``attempt``, ``available_at`` and ``error: Exception | None``; None where
#: the job itself or its middleware asked for it.
job_released = Signal()
#: A try was stopped because it took too long. Adds ``attempt``.
job_timed_out = Signal()
#: A job was moved to the failed jobs. Adds ``attempts: int`` and ``error: Exception``.
job_failed = Signal()
#: A record that can't be trusted or read was moved to the failed jobs, unrun. Adds ``error: Exception``.
job_quarantined = Signal()
#: Somebody asked for a failed job to be tried again.
job_retry_requested = Signal()

# --- Batches; each carries ``batch_id: UUID`` and ``name: str``.

#: A batch and its jobs were stored; sent after the commit.
batch_dispatched = Signal()
#: The first job of a batch has ended.
batch_started = Signal()
#: All jobs of a batch have ended well; again where a finished one was added to.
batch_finished = Signal()
#: A batch was cancelled, by somebody or by a failure.
batch_cancelled = Signal()

# --- Queues; each carries ``connection: str``.

#: A queue rests. Adds ``queue: str`` (``*`` for all) and ``until: datetime | None``.
queue_paused = Signal()
#: A queue goes on. Adds ``queue: str``.
queue_resumed = Signal()
#: A queue holds more jobs than it should; ``jobs.queues.monitor_queues`` tells. Adds ``queue: str``, ``size: int``.
queue_busy = Signal()
#: A connection could not be reached, and the next one took the job. Adds ``failed_connection: str`` and ``error``.
queue_failed_over = Signal()

# --- Workers; each carries ``worker: str``.

#: A worker starts. Adds ``queues: Sequence[str]``.
worker_starting = Signal()
#: A worker has found nothing to do.
worker_idle = Signal()
#: A worker ends. Adds ``reason: str``: ``signal``, ``max_jobs``, ``max_time``, ``memory``, ``empty``, ``restart``.
worker_stopping = Signal()
#: The job in hand was told that its worker is to end. Adds ``job_id``, ``job_class`` and ``signal_number: int``.
worker_interrupting = Signal()
#: A worker rests until it is told to go on, or goes on.
worker_pausing = Signal()
worker_resuming = Signal()

# --- Schedules; each carries ``schedule: str``, the name.

#: An entry was due, and its job was dispatched; sent after the commit. Adds ``run_at: datetime`` and ``job_id: UUID``.
schedule_dispatched = Signal()
#: An entry could not be dispatched, for a reason that it didn't have before. Adds ``problem: str``.
schedule_broken = Signal()

"""Middleware: what stands around a job while it runs.

A middleware is an object with ``handle(job, proceed)``: it calls ``proceed()`` to go on, or doesn't, and may release,
delete or fail the job (``job.release(10)``). Jobs name theirs in ``middleware()``, queues in their definition, and
``JOBS["MIDDLEWARE"]`` names what every job passes; in this order from the outside: settings, queue, job. What a
middleware raises counts as raised by the job.
"""

from jobs.middleware.base import Middleware, Proceed, put_back
from jobs.middleware.conditions import Release, Skip, SkipIfBatchCancelled
from jobs.middleware.failures import Condition, FailOnException, ThrottlesExceptions
from jobs.middleware.limiting import LimitConcurrency, ThrottleMiddleware, WithoutOverlapping
from jobs.middleware.logs import LoggingMiddleware
from jobs.middleware.stack import MiddlewareStack, find_middleware

__all__ = [
    "Condition",
    "FailOnException",
    "LimitConcurrency",
    "LoggingMiddleware",
    "Middleware",
    "MiddlewareStack",
    "Proceed",
    "Release",
    "Skip",
    "SkipIfBatchCancelled",
    "ThrottleMiddleware",
    "ThrottlesExceptions",
    "WithoutOverlapping",
    "find_middleware",
    "put_back",
]

"""The driver that keeps jobs in Redis, in the keys of RQ."""

from jobs.drivers.base import QueueDriver


class RedisDriver(QueueDriver):
    """To be written."""

"""Coordination in Redis."""

from jobs.coordination.base import Coordinator


class RedisCoordinator(Coordinator):
    """To be written."""

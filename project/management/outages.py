"""What a command says of a store that can't be used, in place of a traceback."""

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from redis.exceptions import RedisError, ResponseError


def explain_outage(error: Exception) -> str | None:
    """Return what is wrong and the way out, where the database or Redis made a command fail; None where neither did."""
    said = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    if isinstance(error, RedisError) and type(error) is not ResponseError:  # that one tells of a mistake in the code
        return f"Redis can't be used: {said}. See that it runs and that REDIS_URL is right."
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    try:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except (DatabaseError, InterfaceError):
        return f"The database can't be used: {said}. See that it runs and that DATABASE_URL is right."
    if missing:
        return f"The database lacks {missing} migrations ({said}). Apply them: manage.py migrate"
    return f"The database failed: {said}. Try again." if isinstance(error, OperationalError) else None

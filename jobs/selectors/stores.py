"""The connections that keep jobs."""

from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.drivers.failover import FailoverDriver
from jobs.drivers.sync import SyncDriver


def list_stores() -> list[str]:
    """Return the names of the connections that keep jobs themselves, that of the settings first."""
    settings = get_job_settings()
    names = sorted(settings.connections, key=lambda name: (name != settings.connection, name))
    return [name for name in names if not isinstance(get_driver(name), SyncDriver | FailoverDriver)]

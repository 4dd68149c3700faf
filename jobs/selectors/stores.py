"""The connections that keep jobs."""

from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.drivers.failover import FailoverDriver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import UnknownConnectionError


def list_stores() -> list[str]:
    """Return the names of the connections that keep jobs themselves, that of the settings first."""
    settings = get_job_settings()
    names = sorted(settings.connections, key=lambda name: (name != settings.connection, name))
    return [name for name in names if not isinstance(get_driver(name), SyncDriver | FailoverDriver)]


def serves_connection(served: str, name: str) -> bool:
    """Say whether a worker of a connection takes the jobs of another one: where it fails over to that, or is it."""
    if served == name:
        return True
    try:
        driver = get_driver(served)
    except UnknownConnectionError:  # of a worker that runs with other settings
        return False
    return isinstance(driver, FailoverDriver) and any(serves_connection(one.name, name) for one in driver.drivers)

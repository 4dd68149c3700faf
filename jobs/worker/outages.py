"""What a worker's stores raise while they are away."""

from django.db import InterfaceError, OperationalError

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.drivers.base import get_driver


def list_outage_errors() -> tuple[type[Exception], ...]:
    """Return what any store raises that a worker needs when it can't be reached.

    Whatever connection it serves, it keeps heartbeats, batches and failed jobs in the database, locks in the
    coordinator, and sends what follows a job to any connection.
    """
    drivers = [get_driver(name) for name in get_job_settings().connections]
    found = [
        (OperationalError, InterfaceError),
        get_coordinator().outage_errors,
        *(one.outage_errors for one in drivers),
    ]
    return tuple({error for errors in found for error in errors})

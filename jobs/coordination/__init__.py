"""What workers on any number of hosts agree on: who holds what, and how often something happened.

``get_coordinator()`` returns the one of the settings: on Redis where jobs are, in the database otherwise.
"""

from django.utils.module_loading import import_string

from jobs.conf import get_job_settings
from jobs.coordination.base import Coordinator, Window
from jobs.outlet import Current

_DATABASE = "jobs.coordination.database.DatabaseCoordinator"


def get_coordinator() -> Coordinator:
    """Return the coordinator of the connection that ``JOBS["COORDINATION"]`` or ``JOBS["CONNECTION"]`` names."""
    if Current.outlet is not None and isinstance(other := Current.outlet.get_coordinator(), Coordinator):
        return other
    settings = get_job_settings()
    options = settings.connections[settings.coordination or settings.connection]
    coordinator_class: type[Coordinator] = import_string(options.get("COORDINATOR", _DATABASE))
    return coordinator_class(options)


__all__ = ["Coordinator", "Window", "get_coordinator"]

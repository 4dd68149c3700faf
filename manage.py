#!/usr/bin/env python
"""Run a management command; without ``DJANGO_SETTINGS_MODULE`` with the settings of development."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command that the arguments name.

    A wrong environment, and a store that is away, are explained without a traceback; ``--traceback`` shows that.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.dev")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")
    except Exception as error:  # raised again, unless a store is away
        from project.management.outages import explain_outage  # noqa: PLC0415 - it needs the settings

        if "--traceback" in sys.argv or not (explained := explain_outage(error)):
            raise
        sys.exit(f"Error: {explained}")


if __name__ == "__main__":
    main()

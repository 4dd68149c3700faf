#!/usr/bin/env python
"""Run a management command; without ``DJANGO_SETTINGS_MODULE`` with the settings of development."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command that the arguments name; a wrong environment is explained without a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.dev")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()

"""Production settings, with one address that only reads."""

from project.settings.production import *  # noqa: F403 - a settings module is its names

ROOT_URLCONF = "benchmarks.oauth.urls"

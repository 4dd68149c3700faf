"""The auth backend of the house."""

from django.contrib.auth.backends import ModelBackend


class RoleBackend(ModelBackend):
    """Signs in by e-mail and answers ``has_perm`` from roles."""

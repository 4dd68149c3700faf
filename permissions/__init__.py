"""Roles and permissions on Django's own tables."""

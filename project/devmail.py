"""Mail of a development installation: files in ``var/mail``, shown at ``/dev/mail``."""

from django.core.mail.backends.filebased import EmailBackend as FileEmailBackend

__all__ = ["FileEmailBackend"]

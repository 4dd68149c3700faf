"""The WSGI application, for granian or any other server."""

import os

from django.core.wsgi import get_wsgi_application

from project.content_types import ContentTypeGuard

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.production")
application = ContentTypeGuard(get_wsgi_application())

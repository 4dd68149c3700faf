"""What the tests beside RQ need."""

from django.conf import settings as django_settings

#: RQ needs Redis.
collect_ignore = [] if django_settings.REDIS_URL else ["test_rq.py"]

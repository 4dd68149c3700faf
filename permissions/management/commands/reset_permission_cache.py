"""Let every process read roles and rights anew."""

from typing import override

from django.core.management.base import BaseCommand

from permissions.services import reset_cache


class Command(BaseCommand):
    """Make every process forget what it remembers of roles and users."""

    help = "Let every process read roles and rights anew, after they were changed by SQL behind Django's back."

    @override
    def handle(self, *args: object, **options: object) -> None:
        reset_cache()
        self.stdout.write("Permission cache reset: every process reads anew with its next request.")

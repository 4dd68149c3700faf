"""Repair the roles after writes behind Django's back."""

from typing import override

from django.core.management.base import BaseCommand

from permissions.services import repair_roles


class Command(BaseCommand):
    """Make the roles and records that groups and memberships lack."""

    help = "Give every group its role and every membership its record, after bulk inserts or SQL."

    @override
    def handle(self, *args: object, **options: object) -> None:
        """Repair and say what was done."""
        roles, records = repair_roles()
        self.stdout.write(f"{roles} roles made, {records} records of assignments repaired.")

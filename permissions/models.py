"""Roles: a named set of permissions, kept in a Django group, and who has them.

A role and the group that backs it are one thing in two tables. They share name and key, and ``receivers`` keeps them
so whichever of the two is written: a group made elsewhere becomes a role, a role that is deleted takes its group along.

**Who has a role is settled by membership in its group**, where Django itself looks; ``has_role`` and ``has_perm`` can
therefore never disagree. ``RoleAssignment`` is the record beside it (since when, by whom). A membership made elsewhere
(``user.groups.add``) gets its record at once; one made behind Django's back (bulk inserts, SQL) counts all the same and
gets its record from ``manage.py sync_roles``.
"""

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import PermissionsMixin

    class Holder(AbstractBaseUser, PermissionsMixin):
        """What the app expects of a user, for the type checker alone."""

        class Meta:
            abstract = True


class RoleManager(models.Manager["Role"]):
    """Look-ups by name."""

    def get_by_natural_key(self, name: str) -> "Role":
        """Return the role of that name."""
        return self.get(name=name)


class Role(models.Model):
    """A named set of permissions that users are given as one.

    The permissions stand in Django's own tables, at the group that backs the role, so whatever reads
    ``group__permissions`` (the admin, ``DjangoModelPermissions``, ``with_perm``) sees the same grants.
    """

    #: The group that backs the role; made and deleted with it, and holds its permissions.
    group = models.OneToOneField(Group, on_delete=models.CASCADE, primary_key=True, related_name="role", editable=False)
    #: What code and people call the role; unique, at most 100 characters.
    name = models.CharField(max_length=100, unique=True)
    #: Set once, when the role is made.
    created_at = models.DateTimeField(auto_now_add=True)
    users = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        through="RoleAssignment",
        through_fields=("role", "user"),
        related_name="roles",
    )

    objects: ClassVar[RoleManager] = RoleManager()

    class Meta:
        ordering = ["name"]
        permissions = [("assign_role", "Can give roles to users and take them away")]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        """Return the name."""
        return (self.name,)


class RoleAssignment(models.Model):
    """Since when a user has a role, and who gave it. Written by ``services`` and ``receivers`` alone."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="assignments")
    #: Who gave the role; empty when a command or the seed did, or when that user is gone.
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    #: Set once, when the role is given.
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="permissions_assignment_once")]

    def __str__(self) -> str:
        return f"{self.user_id} has {self.role_id}"

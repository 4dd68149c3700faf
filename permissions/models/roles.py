"""Roles, permissions, and who has them.

Permissions are Django's own rows. A role and the group that backs it are one thing in two tables: they share a key,
and ``receivers`` keeps them so whichever of the two is written. A group made elsewhere becomes a role, a role that is
deleted takes its group along.

**What Django can express stands in Django's tables.** A role that holds everywhere and for ever is a membership in its
group; that row settles it, and the ``RoleAssignment`` beside it is the record of who gave it and when. What Django
can't express (a team, a moment of expiry, another guard) never reaches ``user.groups``, where every Django library
would take it for a right without limits; there the assignment itself is the truth.
"""

from typing import TYPE_CHECKING, ClassVar, override

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q

from permissions import conf
from permissions.mixins import PermissionVerbs, RoleVerbs

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import PermissionsMixin

    class Holder(AbstractBaseUser, PermissionsMixin):
        """What the app expects of a user, for the type checker alone."""

        class Meta:
            abstract = True


#: Longest key of a team, as text.
MAX_TEAM_ID_LENGTH = 64


class PermissionManager(models.Manager["Permission"]):
    """Brings the content type along: a permission's guard and name are written there."""

    @override
    def get_queryset(self) -> models.QuerySet["Permission"]:
        """Return all permissions."""
        return super().get_queryset().select_related("content_type")

    def get_by_natural_key(self, codename: str, app_label: str, model: str) -> "Permission":
        """Return the permission that Django stores under these."""
        content_type = ContentType.objects.db_manager(self.db).get_by_natural_key(app_label, model)
        return self.get(codename=codename, content_type=content_type)


class Permission(PermissionVerbs, DjangoPermission):
    """Django's permission, with the verbs of the house."""

    objects: ClassVar[PermissionManager] = PermissionManager()  # type: ignore[assignment]  # rows are of this class

    class Meta:
        proxy = True
        default_permissions = ()  # those of auth.Permission hold

    def __str__(self) -> str:
        return self.identifier

    @override
    def _row(self) -> "Permission":
        return self

    @property
    def guard(self) -> str:
        """The guard to which the permission belongs."""
        return conf.get().identify(self.content_type.app_label, self.codename)[0]

    @property
    def identifier(self) -> str:
        """What code calls the permission: ``accounts.view_user``, or a free name such as ``edit articles``."""
        return conf.get().identify(self.content_type.app_label, self.codename)[1]

    @property
    def is_free(self) -> bool:
        """Whether no model declares the permission."""
        return self.content_type.app_label in conf.get().guards


class RoleManager(models.Manager["Role"]):
    """Look-ups by name."""

    def get_by_natural_key(self, name: str, guard: str, team_id: str) -> "Role":
        """Return the role of that name, guard and team."""
        return self.get(name=name, guard=guard, team_id=team_id)


class Role(RoleVerbs, models.Model):
    """A named set of permissions that users are given as one.

    The permissions stand in Django's own tables, at the group that backs the role, so whatever reads
    ``group__permissions`` (the admin, ``DjangoModelPermissions``, ``with_perm``) sees the same grants.
    """

    #: The group that backs the role; made and deleted with it, and holds its permissions.
    group = models.OneToOneField(Group, on_delete=models.CASCADE, primary_key=True, related_name="role", editable=False)
    #: What code and people call the role; at most 100 characters.
    name = models.CharField(max_length=100)
    #: The namespace in which the role and its permissions live. Never changed.
    guard = models.CharField(max_length=100, default="web", editable=False)
    #: Key of the one team that can use the role, as text; empty where all can. Never changed.
    team_id = models.CharField(max_length=MAX_TEAM_ID_LENGTH, default="", blank=True, editable=False)
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
        ordering = ["name", "guard", "team_id"]
        constraints = [models.UniqueConstraint(fields=["team_id", "name", "guard"], name="permissions_role_once")]
        permissions = [
            ("assign_role", "Can give roles to users and take them away"),
            ("assign_permission", "Can give permissions to users, take them away and forbid them"),
            ("escalate", "Can give away rights that they don't hold themselves"),
        ]

    def __str__(self) -> str:
        return self.name

    @override
    def _row(self) -> "Role":
        return self

    def natural_key(self) -> tuple[str, str, str]:
        """Return what identifies the role in every installation."""
        return (self.name, self.guard, self.team_id)

    @property
    def is_mirrored(self) -> bool:
        """Whether Django can express the role: then who has it for ever and everywhere is in its group."""
        return self.guard == conf.get().default_guard and self.team_id == ""


class RoleLink(models.Model):
    """That a role has all permissions of another one: its parent, or the parent of a parent and so on.

    All ancestors have a row, so that one join answers for any depth. Written by ``services`` alone.
    """

    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="ancestor_links")
    ancestor = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="descendant_links")
    #: Whether the ancestor was named as a parent, rather than found above one.
    is_parent = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["role", "ancestor"], name="permissions_link_once"),
            models.CheckConstraint(condition=~Q(role=models.F("ancestor")), name="permissions_link_not_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.role_id} inherits from {self.ancestor_id}"


class RoleAssignment(models.Model):
    """That a user has a role: where, until when, since when, and who gave it. Written by ``services`` alone."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="assignments")
    #: Key of the team in which the user has the role, as text; empty where in all.
    team_id = models.CharField(max_length=MAX_TEAM_ID_LENGTH, default="", blank=True)
    #: From this moment on the assignment counts for nothing; empty where it never ends.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: Who gave the role; empty when a command or the seed did, or when that user is gone.
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    #: Set once, when the role is given.
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role", "team_id"], name="permissions_assignment_once")]
        indexes = [models.Index(fields=["role", "user"], name="permissions_assignment_role")]

    def __str__(self) -> str:
        return f"{self.role} for {self.user}"


class UserGrant(models.Model):
    """What a user is given or forbidden directly, where Django has no place for it. Written by ``services`` alone.

    A permission that is given in one team, or one that is forbidden, in a team or everywhere. What is given everywhere
    stands in ``user.user_permissions``.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="permission_grants")
    permission = models.ForeignKey(DjangoPermission, on_delete=models.CASCADE, related_name="+")
    #: Key of the team in which it holds, as text; empty where in all.
    team_id = models.CharField(max_length=MAX_TEAM_ID_LENGTH, default="", blank=True)
    #: Whether the permission is forbidden, whatever gives it, rather than given.
    is_denied = models.BooleanField(default=False)
    #: Who gave or forbade it; empty when a command did, or when that user is gone.
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "permission", "team_id", "is_denied"], name="permissions_grant_once"
            ),
            models.CheckConstraint(condition=Q(is_denied=True) | ~Q(team_id=""), name="permissions_grant_has_team"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {'is forbidden' if self.is_denied else 'is given'} {self.permission_id}"


class Version(models.Model):
    """A stamp that changes whenever what it stands for does, so that every process knows when its memory is old.

    Stamps are random and never come back, also not when a transaction is rolled back.
    """

    #: ``roles``, ``role:<key>`` or ``user:<key>``.
    key = models.CharField(max_length=80, primary_key=True)
    stamp = models.BigIntegerField()

    def __str__(self) -> str:
        return self.key

"""People with an account."""

from typing import TYPE_CHECKING, Any, ClassVar, override
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import load_backend
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Permission, PermissionsMixin
from django.db import models
from django.utils import timezone

from permissions.managers import HasRolesQuerySet
from permissions.mixins import HasRoles

if TYPE_CHECKING:
    EmailField = models.EmailField[str, str]
else:
    EmailField = models.EmailField  # generic in the stubs only


class LowercaseEmailField(EmailField):
    """An e-mail address, stored and looked up in lower case, so that one unique index settles who it belongs to."""

    @override
    def get_prep_value(self, value: object) -> object:
        """Lower the case on the way to the database, in writes and look-ups alike."""
        prepared = super().get_prep_value(value)
        return prepared.lower() if isinstance(prepared, str) else prepared

    @override
    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        """Show the stored form on the instance too."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, str):
            value = value.lower()
            setattr(model_instance, self.attname, value)
        return value


class UserManager(BaseUserManager["User"]):
    """Makes users and finds them, by e-mail and by what they were given."""

    @override
    def get_queryset(self) -> HasRolesQuerySet["User"]:
        """Return all users; their roles and permissions can be asked for."""
        return HasRolesQuerySet(self.model, using=self._db)

    def role(self, *roles: object, guard: str | None = None) -> HasRolesQuerySet["User"]:
        """See ``HasRolesQuerySet.role``."""
        return self.get_queryset().role(*roles, guard=guard)

    def without_role(self, *roles: object, guard: str | None = None) -> HasRolesQuerySet["User"]:
        """See ``HasRolesQuerySet.without_role``."""
        return self.get_queryset().without_role(*roles, guard=guard)

    def permission(self, *permissions: object, guard: str | None = None) -> HasRolesQuerySet["User"]:
        """See ``HasRolesQuerySet.permission``."""
        return self.get_queryset().permission(*permissions, guard=guard)

    def without_permission(self, *permissions: object, guard: str | None = None) -> HasRolesQuerySet["User"]:
        """See ``HasRolesQuerySet.without_permission``."""
        return self.get_queryset().without_permission(*permissions, guard=guard)

    def with_perm(
        self,
        perm: str | Permission,
        is_active: bool | None = True,  # noqa: FBT001, FBT002 - as Django's own manager has it
        include_superusers: bool = True,  # noqa: FBT001, FBT002 - as above
        backend: str | None = None,
        obj: models.Model | None = None,
    ) -> models.QuerySet["User"]:
        """Return the users who hold a permission, by the backend named or the only one; as Django's manager does.

        Raises:
            ValueError: There are several backends and none is named, or the name is no permission's.
        """
        paths = [backend] if backend else settings.AUTHENTICATION_BACKENDS
        if len(paths) != 1:
            message = "You have multiple authentication backends configured and so must name one as `backend`."
            raise ValueError(message)
        asked: Any = load_backend(paths[0])  # Any: Django's base of backends has no such method
        found: models.QuerySet[User] = asked.with_perm(
            perm, is_active=is_active, include_superusers=include_superusers, obj=obj
        )
        return found

    def team(self, *teams: object) -> HasRolesQuerySet["User"]:
        """See ``HasRolesQuerySet.team``."""
        return self.get_queryset().team(*teams)

    def without_team(self, *teams: object) -> HasRolesQuerySet["User"]:
        """See ``HasRolesQuerySet.without_team``."""
        return self.get_queryset().without_team(*teams)

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Store a user; without a password nobody can sign in with one."""
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Store a verified user who may do everything."""
        fields = {"email_verified_at": timezone.now()} | fields | {"is_staff": True, "is_superuser": True}
        return self.create_user(email, password, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with that e-mail, whatever its case."""
        return self.get(email=username)

    async def aget_by_natural_key(self, username: str | None) -> "User":
        """See ``get_by_natural_key``."""
        return await self.aget(email=username)


class User(HasRoles, AbstractBaseUser, PermissionsMixin):
    """A person with an account. The e-mail is the login."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    #: Unique, in lower case.
    email = LowercaseEmailField(
        "e-mail address", max_length=254, unique=True, error_messages={"unique": "This e-mail address is in use."}
    )
    #: What pages and mails call the person; may be empty.
    name = models.CharField(max_length=150, blank=True)
    #: When the person followed the link of a verification mail; empty until then, and no sign-in until then.
    email_verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: Off means: no sign-in, and every token is dead on the next request.
    is_active = models.BooleanField("active", default=True)
    #: May open the admin.
    is_staff = models.BooleanField("staff", default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["created_at", "id"], name="accounts_user_order")]

    def __str__(self) -> str:
        return str(self.email)

    def get_short_name(self) -> str:
        """Return the name, or the e-mail where there is none."""
        return self.name or self.email

"""People with an account."""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, override
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import load_backend
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.models import Permission, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql.where import AND
from django.utils import timezone

from permissions.managers import HasRolesQuerySet
from permissions.mixins import HasRoles
from project import shared_facts
from project.printable import validate_name

#: Key of the fact that all facts about users depend on: it is forgotten where it isn't known whose row has changed.
USERS_FACT: Final = "users"
#: Columns of a user that the shared cache never holds.
_NO_FACTS: Final = frozenset({"password", "last_login"})

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


class UserQuerySet(HasRolesQuerySet["User"]):
    """Users; what is changed here in bulk, past the signals, is forgotten by the shared cache too."""

    @override
    def update(self, **kwargs: Any) -> int:  # Any: as Django has it
        """Change rows, as Django does."""
        if not shared_facts.is_shared() or not kwargs.keys() - _NO_FACTS:
            return super().update(**kwargs)
        with transaction.atomic(using=self.db, savepoint=False):
            shared_facts.forget(self._list_fact_keys())
            return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]  # for templates, as Django's own has it

    @override
    def bulk_create(
        self,
        objs: Iterable["User"],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list["User"]:
        """Store users, as Django does."""
        with transaction.atomic(using=self.db, savepoint=False):
            if update_conflicts:
                shared_facts.forget([USERS_FACT])
            return super().bulk_create(
                objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )

    def _list_fact_keys(self) -> list[str]:
        """Return the keys of the users that the conditions name by id; of all users where they name none."""
        where = self.query.where
        for condition in where.children if where.connector == AND and not where.negated else ():
            if not isinstance(condition, (Exact, In)) or not isinstance(condition.lhs, Col):
                continue
            column = condition.lhs.target
            if column.primary_key and column.model is self.model and condition.rhs_is_direct_value():
                ids = condition.rhs if isinstance(condition, In) else [condition.rhs]
                return [get_user_fact_key(one) for one in ids]
        return [USERS_FACT]


class UserManager(BaseUserManager["User"]):
    """Makes users and finds them, by e-mail and by what they were given."""

    @override
    def get_queryset(self) -> HasRolesQuerySet["User"]:
        """Return all users; their roles and permissions can be asked for."""
        return UserQuerySet(self.model, using=self._db)

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
        indexes = [
            models.Index(fields=["created_at", "id"], name="accounts_user_order"),
            models.Index(
                fields=["created_at"],
                name="accounts_user_unverified",
                condition=models.Q(email_verified_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return str(self.email)

    def get_short_name(self) -> str:
        """Return the name, or the e-mail where there is none."""
        return self.name or self.email

    @override
    def clean(self) -> None:
        """Refuse a name that could mislead; one that is stored already may stay.

        Raises:
            ValidationError: It could.
        """
        super().clean()
        try:
            validate_name(self.name)
        except ValidationError as error:
            if not User.objects.filter(pk=self.pk, name=self.name).exists():
                raise ValidationError({"name": error.messages}) from error

    @override
    def check_password(self, raw_password: str | None) -> bool:
        """Say whether it is the password; a hash that an earlier release has made is then replaced.

        Django would replace it whatever is stored by then, and so bring the old password back where it was changed
        while it was being checked.
        """
        is_right, is_outdated = verify_password(raw_password, self.password)
        if not is_right or not is_outdated:
            return is_right
        hashed = make_password(raw_password)
        rows = User.objects.filter(pk=self.pk)
        if rows.filter(password=self.password).update(password=hashed):
            self.password = hashed
            return True
        present = rows.values_list("password", flat=True).first()
        if present is None:
            return False
        self.password = present
        return self.check_password(raw_password)

    @override
    async def acheck_password(self, raw_password: str | None) -> bool:
        """See ``check_password``."""
        return await sync_to_async(self.check_password)(raw_password)

    def to_fact(self) -> dict[str, object]:
        """Return the row as the shared cache may hold it: as JSON, and without password and last sign-in."""
        values = {name: getattr(self, name) for name in self._get_fact_fields()}
        return {name: str(value) if isinstance(value, (UUID, datetime)) else value for name, value in values.items()}

    @classmethod
    def find_in_fact(cls, fact: object) -> "User | None":
        """Return the user whom ``to_fact`` was asked of; None where a version with other columns was."""
        fields = cls._get_fact_fields()
        if not isinstance(fact, dict) or fact.keys() != fields.keys():
            return None
        values = [field.to_python(fact[name]) for name, field in fields.items()]
        return cls.from_db(router.db_for_read(cls), list(fields), values)

    @classmethod
    @cache
    def _get_fact_fields(cls) -> "dict[str, models.Field[Any, Any]]":  # Any: of all types of columns
        return {field.attname: field for field in cls._meta.concrete_fields if field.attname not in _NO_FACTS}


def get_user_fact_key(user_id: object) -> str:
    """Return the key under which the shared cache holds a user's row."""
    return f"user:{user_id}"

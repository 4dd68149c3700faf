"""Users and sessions in the admin. Signing keys and tokens are not shown anywhere."""

from typing import TYPE_CHECKING, override

from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import forms as auth_forms
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from accounts import services
from accounts.models import Session, User
from permissions import audit
from permissions.exceptions import Escalation
from permissions.inlines import RolesInline
from permissions.services import refuse_touching

if TYPE_CHECKING:
    DjangoUserAdmin = auth_admin.UserAdmin[User]
    AdminUserCreationForm = auth_forms.AdminUserCreationForm[User]
    AdminPasswordChangeForm = auth_forms.AdminPasswordChangeForm[User]
    ModelAdmin = admin.ModelAdmin[Session]
else:  # generic in the stubs only
    DjangoUserAdmin = auth_admin.UserAdmin
    AdminUserCreationForm = auth_forms.AdminUserCreationForm
    AdminPasswordChangeForm = auth_forms.AdminPasswordChangeForm
    ModelAdmin = admin.ModelAdmin

#: What only a superuser may change: each would let a member of staff give themselves every right.
_SUPERUSER_FIELDS = ("is_staff", "is_superuser")
_RECORDED_FLAGS = ("is_active", *_SUPERUSER_FIELDS)


class UserAddForm(AdminUserCreationForm):
    """E-mail, name and password of a new user."""

    class Meta:
        model = User
        fields = ["email", "name"]
        field_classes: dict[str, type] = {}


class UserPasswordForm(AdminPasswordChangeForm):
    """A new password for a user, or none; what the old one opened ends."""

    @override
    def save(self, commit: bool = True) -> User:
        """Hand it to the service, which always stores it."""
        is_usable = self.cleaned_data["set_usable_password"]
        password = self.cleaned_data["password1"] if is_usable else None
        services.set_password(user=self.user, password=password, now=timezone.now())
        return self.user


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Users, found by e-mail or name."""

    add_form = UserAddForm
    change_password_form = UserPasswordForm
    list_display = ["email", "name", "is_active", "is_staff", "email_verified_at", "created_at"]
    list_filter = ["is_active", "is_staff", "is_superuser", ("email_verified_at", admin.EmptyFieldListFilter)]
    search_fields = ["email", "name"]
    ordering = ["email"]
    filter_horizontal = ()
    readonly_fields = ["email_verified_at", "last_login", "created_at"]
    fieldsets = (
        (None, {"fields": ("email", "password", "name")}),
        ("Status", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Times", {"fields": ("email_verified_at", "last_login", "created_at")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("email", "name", "usable_password", "password1", "password2")}),
    )

    @override
    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type[RolesInline], ...]:
        """Show the roles of a user who is stored."""
        return (RolesInline,) if obj else ()

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Keep the flags that give rights out of reach of those who don't have all rights."""
        fields = [*super().get_readonly_fields(request, obj)]
        return fields if request.user.is_superuser else [*fields, *_SUPERUSER_FIELDS]

    @override
    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody change a user who holds more: the password or the address would give all of it."""
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody delete a user who holds more."""
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)

    @override
    def save_model(self, request: HttpRequest, obj: User, form: "ModelForm[User]", change: bool) -> None:
        """Save, and let the tokens of a deactivated user die and a new address be verified."""
        super().save_model(request, obj, form, change)
        flags = {name: getattr(obj, name) for name in _RECORDED_FLAGS if name in form.changed_data}
        audit.record("user.changed" if change else "user.created", subject=obj, fields=form.changed_data, **flags)
        if "email" in form.changed_data:
            services.request_email_verification(user=obj)
        if change and not obj.is_active:
            services.end_all_sessions(user=obj, now=timezone.now())


@admin.register(Session)
class SessionAdmin(ModelAdmin):
    """Sign-ins, to look at and to end."""

    list_display = ["user", "created_at", "last_used_at", "expires_at", "revoked_at", "ip_address", "user_agent"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    actions = ["end_sessions"]

    @admin.action(description="End the selected sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """End each of them, with its tokens, at once."""
        sessions = list(queryset)
        for session in sessions:
            services.end_session(session=session, now=timezone.now())
        self.message_user(request, f"Sessions ended: {len(sessions)}.", messages.SUCCESS)

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Say whether the member of staff may end sessions."""
        return request.user.has_perm("accounts.change_session")

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let nobody make sessions."""
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        """Let nobody edit sessions."""
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        """Let nobody delete a session here, where its tokens would live on; deleting its user may take it along."""
        match = request.resolver_match
        is_here = match is None or str(match.url_name).startswith("accounts_session")
        return not is_here and super().has_delete_permission(request, obj)


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    """Say whether the member of staff holds all that the user holds, or would hold if active."""
    if user is None:
        return True
    if not isinstance(request.user, User):
        return False
    try:
        refuse_touching(actor=request.user, user=user)
    except Escalation:
        return False
    return True

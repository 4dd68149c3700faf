"""Users and sessions in the admin. No password, key or token is shown anywhere, and no admin chooses a password."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, override

from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts import services
from accounts.devices import describe_device
from accounts.models import Session, User
from permissions import audit
from permissions.exceptions import Escalation
from permissions.inlines import RolesInline
from permissions.services import refuse_touching

if TYPE_CHECKING:
    DjangoUserAdmin = auth_admin.UserAdmin[User]
    UserForm = ModelForm[User]
    ModelAdmin = admin.ModelAdmin[Session]
else:  # generic in the stubs only
    DjangoUserAdmin = auth_admin.UserAdmin
    UserForm = ModelForm
    ModelAdmin = admin.ModelAdmin

#: What only a superuser may change: each would let a member of staff give themselves every right.
_SUPERUSER_FIELDS = ("is_staff", "is_superuser")
_RECORDED_FLAGS = ("is_active", *_SUPERUSER_FIELDS)
EndReason: Final = Session.EndReason


class UserAddForm(UserForm):
    """E-mail and name of a new user, who is sent a link to choose a password."""

    class Meta:
        model = User
        fields = ["email", "name"]


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Users, found by e-mail or name."""

    form = UserForm
    add_form = UserAddForm
    add_form_template = None
    list_display = ["email", "name", "is_active", "is_staff", "email_verified_at", "created_at"]
    list_filter = ["is_active", "is_staff", "is_superuser", ("email_verified_at", admin.EmptyFieldListFilter)]
    search_fields = ["email", "name"]
    ordering = ["email"]
    filter_horizontal = ()
    readonly_fields = ["email_verified_at", "last_login", "created_at"]
    fieldsets = (
        (None, {"fields": ("email", "name")}),
        ("Status", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Times", {"fields": ("email_verified_at", "last_login", "created_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name"),
                "description": "A link to choose a password is sent to the address.",
            },
        ),
    )
    actions = ["start_resets", "end_sessions"]

    @admin.action(description="Send the selected users a link to choose a new password", permissions=["change"])
    def start_resets(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Have each of them choose a new password; until then the old one works."""
        users = self._list_touchable(request, queryset.filter(is_active=True))
        for user in users:
            services.start_password_reset(user=user)
        self.message_user(request, f"Links sent: {len(users)}.", messages.SUCCESS)

    @admin.action(description="Sign the selected users out everywhere", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End all sessions of each of them, with their tokens, at once."""
        users = self._list_touchable(request, queryset)
        for user in users:
            services.end_all_sessions(user=user, reason=EndReason.ENDED_BY_ADMIN, now=timezone.now())
        self.message_user(request, f"Users signed out: {len(users)}.", messages.SUCCESS)

    def _list_touchable(self, request: HttpRequest, users: QuerySet[User]) -> list[User]:
        found = list(users)
        touchable = [user for user in found if _may_touch(request, user)]
        if len(touchable) < len(found):
            self.message_user(request, f"{_LEFT_OUT}: {len(found) - len(touchable)}.", messages.WARNING)
        return touchable

    @override
    def get_urls(self) -> list[URLPattern]:
        """Leave out the page on which an admin would choose a password; add the two buttons of a user's page."""
        ways = {
            "start-reset": ("accounts_user_start_reset", self.start_resets),
            "end-sessions": ("accounts_user_end_sessions", self.end_sessions),
        }
        own = [
            path(f"<path:object_id>/{word}/", self.admin_site.admin_view(self._press(action)), name=name)
            for word, (name, action) in ways.items()
        ]
        others = super().get_urls()
        return own + [one for one in others if one.name != "auth_user_password_change"]

    def _press(self, action: Callable[[HttpRequest, QuerySet[User]], None]) -> Callable[..., HttpResponse]:
        """Return the view of a button that does with one user what an action does with several."""

        @require_POST
        def press(request: HttpRequest, object_id: str) -> HttpResponse:
            user = self.get_object(request, object_id)
            if user is None or not self.has_change_permission(request, user):
                raise PermissionDenied
            action(request, User.objects.filter(pk=user.pk))
            return redirect("admin:accounts_user_change", object_id)

        return press

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
        """Let nobody change a user who holds more: the address would give all of it."""
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody delete a user who holds more."""
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)

    @override
    def save_model(self, request: HttpRequest, obj: User, form: "ModelForm[User]", change: bool) -> None:
        """Save; invite a new user, and see to what follows from a new address and from deactivation.

        Raises:
            Http404: The user was deleted meanwhile.
        """
        if change:
            try:
                # The rest of the row may have changed since it was read, such as the password.
                obj.save(update_fields=form.changed_data)
            except User.NotUpdated as error:
                raise Http404 from error
        else:
            obj.set_unusable_password()
            super().save_model(request, obj, form, change)
        flags = {name: getattr(obj, name) for name in _RECORDED_FLAGS if name in form.changed_data}
        audit.record("user.changed" if change else "user.created", subject=obj, fields=form.changed_data, **flags)
        now = timezone.now()
        if not change:
            services.invite_user(user=obj)
        elif "email" in form.changed_data:
            services.replace_email(user=obj, previous_email=form.initial["email"], now=now)
        if change and not obj.is_active and "is_active" in form.changed_data:
            services.end_all_sessions(user=obj, reason=EndReason.DEACTIVATED, now=now)

    @override
    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete the account by the one door, which tells its owner."""
        services.delete_account(user=obj, reason=EndReason.ENDED_BY_ADMIN, now=timezone.now())

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete each account by the one door."""
        for user in queryset:
            self.delete_model(request, user)


@admin.register(Session)
class SessionAdmin(ModelAdmin):
    """Sign-ins, to look at and to end."""

    list_display = [
        "user",
        "kind",
        "client_id",
        "device",
        "ip_address",
        "created_at",
        "last_used_at",
        "revoked_at",
        "end_reason",
    ]
    list_filter = ["kind", ("revoked_at", admin.EmptyFieldListFilter), "end_reason"]
    list_select_related = ["user"]
    search_fields = ["user__email", "client_id"]
    fields = [
        "user",
        "kind",
        "client_id",
        "scope",
        "device",
        "user_agent",
        "ip_address",
        "created_at",
        "authenticated_at",
        "amr",
        "last_used_at",
        "expires_at",
        "revoked_at",
        "end_reason",
    ]
    actions = ["end_sessions"]

    @admin.display(description="device")
    def device(self, session: Session) -> str:
        """Name the device."""
        return describe_device(session.user_agent)

    @admin.action(description="End the selected sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """End each of them, with its tokens, at once."""
        found = list(queryset.select_related("user"))
        may_touch = {user: _may_touch(request, user) for user in {session.user for session in found}}
        sessions = [session for session in found if may_touch[session.user]]
        for session in sessions:
            services.end_session(session=session, reason=EndReason.ENDED_BY_ADMIN, now=timezone.now())
        if len(sessions) < len(found):
            self.message_user(request, f"{_LEFT_OUT}: {len(found) - len(sessions)}.", messages.WARNING)
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


_LEFT_OUT: Final = "Left as they are, since they hold more than you do"


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

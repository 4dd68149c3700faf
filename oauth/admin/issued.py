"""What the server gave out: to be looked at and revoked, never to be made, changed or deleted by hand."""

from abc import abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, override

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from oauth import services
from oauth.models import AccessToken, Consent, DeviceGrant, Grant, PersonalAccessToken

if TYPE_CHECKING:

    class ModelAdmin[M: Model](admin.ModelAdmin[M]):
        """Generic in the stubs only."""
else:

    class ModelAdmin[M: Model](admin.ModelAdmin):
        """As above."""


class IssuedAdmin[M: Model](ModelAdmin[M]):
    """A list with one action, for whoever holds Django's delete permission for its rows."""

    list_filter = ["application"]
    search_fields = ["application__name", "application__client_id", "user__email"]
    list_select_related = ["application", "user"]
    actions = ["revoke"]

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never here: what is deleted can't be recognized when it is used again. Deleting its client takes it along."""
        match = request.resolver_match
        is_here = match is None or str(match.url_name).startswith(f"{self.opts.app_label}_{self.opts.model_name}")
        return not is_here and super().has_delete_permission(request, None)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Allow whoever holds Django's delete permission for it."""
        codename = get_permission_codename("delete", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    @admin.action(description="Revoke selected", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        """End each of them, with what follows from it."""
        now = timezone.now()
        rows = list(queryset)
        with transaction.atomic():
            for row in rows:
                self.end(row, now)
        messages.success(request, f"{len(rows)} revoked.")

    @abstractmethod
    def end(self, row: M, now: datetime) -> None:
        """End one."""


@admin.register(AccessToken)
class AccessTokenAdmin(IssuedAdmin[AccessToken]):
    """Opaque access tokens; signed ones leave no row."""

    list_display = ("id", "application", "user", "scope", "created", "expires")
    fields = ("application", "user", "scope", "resource", "jti", "created", "expires")

    @override
    def end(self, row: AccessToken, now: datetime) -> None:
        """End the token and the client's session that it belongs to."""
        services.revoke_opaque_token(access_token=row, now=now)


@admin.register(Grant)
class GrantAdmin(IssuedAdmin[Grant]):
    """Authorization codes."""

    list_display = ("id", "application", "user", "scope", "created", "expires", "consumed_at")
    fields = ("application", "user", "scope", "resource", "redirect_uri", "created", "expires", "consumed_at")

    @override
    def end(self, row: Grant, now: datetime) -> None:
        """End the code and what it gave."""
        services.void_code(grant=row, now=now)


@admin.register(Consent)
class ConsentAdmin(IssuedAdmin[Consent]):
    """What people have allowed to clients."""

    list_display = ("user", "application", "scope", "granted_at", "last_used_at", "expires_at")
    fields = ("user", "application", "scope", "resource", "granted_at", "updated_at", "last_used_at", "expires_at")

    @override
    def end(self, row: Consent, now: datetime) -> None:
        """Forget the consent, and end all that followed from it."""
        services.revoke_consent(consent=row, now=now)


@admin.register(DeviceGrant)
class DeviceGrantAdmin(IssuedAdmin[DeviceGrant]):
    """Devices that wait for their people."""

    list_display = ("id", "application", "user", "scope", "status", "created_at", "expires")
    fields = ("application", "user", "scope", "resource", "status", "created_at", "last_polled_at", "expires")

    @override
    def end(self, row: DeviceGrant, now: datetime) -> None:
        """Let the device wait no longer."""
        services.deny_waiting_device(device=row)


@admin.register(PersonalAccessToken)
class PersonalAccessTokenAdmin(IssuedAdmin[PersonalAccessToken]):
    """Tokens that people made for programs of their own."""

    list_display = ("name", "user", "hint", "scope", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = [("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "user__email", "hint"]
    list_select_related = ["user"]
    fields = ("user", "name", "hint", "scope", "created_at", "last_used_at", "expires_at", "revoked_at")

    @override
    def end(self, row: PersonalAccessToken, now: datetime) -> None:
        """Let it work no longer."""
        services.end_personal_token(token=row, now=now)

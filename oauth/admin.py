"""Clients, codes and tokens in the admin. No secret, code or token is ever shown, but a new client's secret once."""

from datetime import datetime
from typing import TYPE_CHECKING, override

import oauth2_provider.admin  # noqa: F401 - registers the toolkit's own pages, which ours replace
from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from oauth import services
from oauth.conf import get_settings
from oauth.models import AccessToken, Application, Grant, GrantType, IDToken, RefreshToken

if TYPE_CHECKING:
    ApplicationModelForm = forms.ModelForm[Application]
    ApplicationModelAdmin = admin.ModelAdmin[Application]
    AnyModelAdmin = admin.ModelAdmin[Model]
else:  # generic in the stubs only
    ApplicationModelForm = forms.ModelForm
    ApplicationModelAdmin = admin.ModelAdmin
    AnyModelAdmin = admin.ModelAdmin

for _model in (Application, AccessToken, Grant, IDToken, RefreshToken):
    admin.site.unregister(_model)


def get_scope_choices() -> list[tuple[str, str]]:
    """Return every scope with its sentence."""
    return [(scope, f"{scope}: {sentence}") for scope, sentence in get_settings().scopes.items()]


class ApplicationForm(ApplicationModelForm):
    """What an admin decides about a client; id and secret are made for it."""

    grant_types = forms.MultipleChoiceField(
        label="Grant types", choices=GrantType.choices, widget=forms.CheckboxSelectMultiple
    )
    allowed_scopes = forms.MultipleChoiceField(
        label="Allowed scopes", choices=get_scope_choices, widget=forms.CheckboxSelectMultiple, required=False
    )
    redirect_uris = forms.CharField(
        label="Redirect URIs",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One per line, compared character by character. https, or http on 127.0.0.1, [::1] and localhost; "
        "the port of an address in digits may differ.",
    )

    class Meta:
        model = Application
        fields = (
            "name",
            "homepage_url",
            "user",
            "client_type",
            "grant_types",
            "redirect_uris",
            "allowed_scopes",
            "is_active",
        )

    def clean_redirect_uris(self) -> str:
        """Store them as the toolkit reads them: separated by one space."""
        return " ".join(str(self.cleaned_data["redirect_uris"]).split())


@admin.register(Application)
class ApplicationAdmin(ApplicationModelAdmin):
    """Clients."""

    form = ApplicationForm
    list_display = ("name", "client_id", "client_type", "is_active", "created")
    list_filter = ("is_active", "client_type")
    search_fields = ("name", "client_id", "user__email")
    raw_id_fields = ("user",)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Application | None = None) -> tuple[str, ...]:
        """Keep fixed what the secret and the issued tokens were made for."""
        if obj is None:
            return ()
        return ("client_id", "client_type", "created", "updated")

    @override
    def save_model(self, request: HttpRequest, obj: Application, form: object, change: bool) -> None:
        """Store the client; show a new one's secret, this once."""
        if change:
            obj.save()
            return
        registered = services.save_new_client(application=obj)
        if registered.client_secret is None:
            return
        text = "The secret of {}, shown this once and stored hashed: <code>{}</code>"
        messages.warning(request, format_html(text, obj.name, registered.client_secret))


class IssuedAdmin(AnyModelAdmin):
    """Something that the server gave out: to be looked at and revoked, never to be made or changed by hand."""

    search_fields = ("application__name", "application__client_id", "user__email")
    list_filter = ("application",)
    list_select_related = ("application", "user")
    actions = ("revoke",)

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
        """Never: what is deleted can't be recognized when it is used again."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Allow whoever holds Django's delete permission for it."""
        codename = get_permission_codename("delete", self.opts)
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    @admin.action(description="Revoke selected", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """End each of them, with what follows from it."""
        now = timezone.now()
        rows = list(queryset)
        for row in rows:
            self.end(row, now)
        messages.success(request, f"{len(rows)} revoked.")

    def end(self, row: Model, now: datetime) -> None:
        """End one."""
        raise NotImplementedError


@admin.register(AccessToken)
class AccessTokenAdmin(IssuedAdmin):
    """Access tokens."""

    list_display = ("id", "application", "user", "scope", "created", "expires")
    fields = ("application", "user", "scope", "jti", "created", "expires")

    @override
    def end(self, row: Model, now: datetime) -> None:
        """End the token and the client's session that it belongs to."""
        if isinstance(row, AccessToken):
            services.revoke_opaque_token(access_token=row, now=now)


@admin.register(Grant)
class GrantAdmin(IssuedAdmin):
    """Authorization codes."""

    list_display = ("id", "application", "user", "scope", "created", "expires", "consumed_at")
    fields = ("application", "user", "scope", "redirect_uri", "created", "expires", "consumed_at")

    @override
    def end(self, row: Model, now: datetime) -> None:
        """End the code and what it gave."""
        if isinstance(row, Grant):
            services.void_code(grant=row, now=now)

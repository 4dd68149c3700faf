"""Clients in the admin: made, changed, given new secrets, looked at."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, override

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.selectors import list_sessions_of_client
from oauth import services
from oauth.forms import ClientAdminForm, SecretForm
from oauth.models import AccessToken, Application, ClientSecret, Consent, judge_redirect_uri

if TYPE_CHECKING:
    ApplicationModelAdmin = admin.ModelAdmin[Application]
    SecretsTabularInline = admin.TabularInline[ClientSecret, Application]
else:  # generic in the stubs only
    ApplicationModelAdmin = admin.ModelAdmin
    SecretsTabularInline = admin.TabularInline

#: So many people and sessions are shown of a client; the lists have all.
_SHOWN: Final = 50
_MAX_URI_CHARACTERS: Final = 4_000
_SECRET_TEXT: Final = "The secret of {}, shown this once and stored hashed: <code>{}</code>"  # noqa: S105 - a sentence

type _Page = Callable[[HttpRequest, Application], HttpResponse]


class SecretsInline(SecretsTabularInline):
    """The secrets of a client; they are made and ended on a page of their own."""

    model = ClientSecret
    fields = readonly_fields = ("hint", "created_at", "last_used_at", "expires_at")
    extra = 0
    max_num = 0
    can_delete = False
    verbose_name_plural = "secrets"

    @override
    def has_add_permission(self, request: HttpRequest, obj: Application | None = None) -> bool:
        """Never here."""
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Application | None = None) -> bool:
        """Never here."""
        return False

    @override
    def has_view_permission(self, request: HttpRequest, obj: Application | None = None) -> bool:
        """Show them to whoever may see the client: there is nothing secret about it."""
        return request.user.has_perm("oauth.view_application") or request.user.has_perm("oauth.change_application")


@admin.register(Application)
class ApplicationAdmin(ApplicationModelAdmin):
    """Clients."""

    form = ClientAdminForm
    list_display = ("name", "client_id", "client_type", "user", "is_active", "created")
    list_filter = ("is_active", "client_type", "access_token_format")
    list_select_related = ("user",)
    search_fields = ("name", "client_id", "user__email")
    raw_id_fields = ("user",)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Ask for the right to change clients as well: who may have some of their own may not decide all of this."""
        return super().has_add_permission(request) and self.has_change_permission(request)

    @override
    def get_inlines(self, request: HttpRequest, obj: Application | None) -> tuple[type[SecretsInline], ...]:
        """Show the secrets of a confidential client that is stored."""
        return (SecretsInline,) if obj is not None and _has_secrets(obj) else ()

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Application | None = None) -> tuple[str, ...]:
        """Keep fixed what the secret and the issued tokens were made for."""
        return () if obj is None else ("client_id", "client_type", "created", "updated")

    @override
    def save_model(self, request: HttpRequest, obj: Application, form: ClientAdminForm, change: bool) -> None:
        """Store the client; show a new one's secret, this once."""
        if change:
            changes = {name: getattr(obj, name) for name in form.changed_data}
            services.change_client(application=obj, changes=changes)
            return
        _show_secret(request, services.save_new_client(application=obj))

    @override
    def delete_model(self, request: HttpRequest, obj: Application) -> None:
        """Delete it with all that it has."""
        services.delete_client(application=obj)

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Application]) -> None:
        """Delete each of them."""
        for application in queryset:
            self.delete_model(request, application)

    @override
    def get_urls(self) -> list[URLPattern]:
        """Add the pages of a client besides the form."""
        change, view = self.has_change_permission, self.has_view_or_change_permission
        own = [
            self._route("secrets", change, self._show_secrets),
            self._route("secrets/<int:secret_id>/end", change, require_POST(self._end_secret), "end_secret"),
            self._route("usage", view, require_safe(self._show_usage)),
            self._route("revoke", change, require_POST(self._revoke)),
            self._route("redirect-test", view, require_safe(self._test_redirect), "redirect_test"),
        ]
        return [*own, *super().get_urls()]

    def _route(
        self,
        word: str,
        is_allowed: Callable[[HttpRequest, Application], bool],
        page: Callable[..., HttpResponse],
        name: str = "",
    ) -> URLPattern:
        """Return the address of a page of one client, for who may see it or change it."""

        def show(request: HttpRequest, object_id: int, **kwargs: object) -> HttpResponse:
            application = self.get_object(request, str(object_id))
            if application is None:
                if not self.has_view_or_change_permission(request):
                    raise PermissionDenied
                raise Http404
            if not is_allowed(request, application):
                raise PermissionDenied
            return page(request, application, **kwargs)

        view = never_cache(self.admin_site.admin_view(show))
        return path(f"<int:object_id>/{word}/", view, name=f"oauth_application_{name or word}")

    def _show_secrets(self, request: HttpRequest, application: Application) -> HttpResponse:
        """List the secrets, and make another one."""
        if not _has_secrets(application):
            raise Http404
        form = SecretForm(request.POST or None)
        if form.is_valid():
            renewed = services.renew_client_secret(application=application, overlap=form.cleaned_data["overlap"])
            _show_secret(request, renewed)
            return redirect("admin:oauth_application_secrets", application.pk)
        secrets = ClientSecret.objects.filter(application=application)
        return self._show(request, application, "secrets", "Secrets", form=form, secrets=secrets, now=timezone.now())

    def _end_secret(self, request: HttpRequest, application: Application, secret_id: int) -> HttpResponse:
        """End one secret at once."""
        secret = ClientSecret.objects.filter(application=application, pk=secret_id).first()
        if secret is None:
            raise Http404
        services.end_client_secret(secret=secret, now=timezone.now())
        messages.success(request, f"The secret {secret.hint}… no longer works.")
        return redirect("admin:oauth_application_secrets", application.pk)

    def _show_usage(self, request: HttpRequest, application: Application) -> HttpResponse:
        """Show for whom the client acts, and since when."""
        now = timezone.now()
        consents = Consent.objects.filter(application=application)
        sessions = list_sessions_of_client(client_id=application.client_id, now=now)
        tokens = AccessToken.objects.filter(application=application, expires__gt=now)
        last_uses = [
            consents.aggregate(last=Max("last_used_at"))["last"],
            ClientSecret.objects.filter(application=application).aggregate(last=Max("last_used_at"))["last"],
            next((session.last_used_at for session in sessions[:1]), None),
        ]
        context = {
            "consents": consents.select_related("user")[:_SHOWN],
            "consent_count": consents.count(),
            "sessions": sessions[:_SHOWN],
            "session_count": sessions.count(),
            "token_count": tokens.count(),
            "last_used_at": max((last for last in last_uses if last is not None), default=None),
        }
        return self._show(request, application, "usage", "Usage", **context)

    def _revoke(self, request: HttpRequest, application: Application) -> HttpResponse:
        """End every code, session and token that the client has."""
        services.revoke_client(application=application, now=timezone.now())
        messages.success(request, "All that the client had has ended. It may be allowed anew.")
        return redirect("admin:oauth_application_usage", application.pk)

    def _test_redirect(self, request: HttpRequest, application: Application) -> HttpResponse:
        """Say whether an address is accepted, and why not."""
        uri = request.GET.get("uri", "")[:_MAX_URI_CHARACTERS]
        verdict = judge_redirect_uri(application=application, uri=uri) if uri else None
        return self._show(request, application, "redirect_test", "Test a redirect address", uri=uri, verdict=verdict)

    def _show(
        self, request: HttpRequest, application: Application, page: str, title: str, **context: object
    ) -> HttpResponse:
        shared = {
            **self.admin_site.each_context(request),
            "title": f"{title}: {application.name}",
            "page_title": title,
            "opts": self.opts,
            "original": application,
            "has_change_permission": self.has_change_permission(request, application),
        }
        return TemplateResponse(request, f"admin/oauth/application/{page}.html", shared | context)


def _has_secrets(application: Application) -> bool:
    return application.client_type == Application.CLIENT_CONFIDENTIAL


def _show_secret(request: HttpRequest, registered: services.RegisteredClient) -> None:
    if registered.client_secret is not None:
        messages.warning(request, format_html(_SECRET_TEXT, registered.application.name, registered.client_secret))

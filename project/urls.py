"""Every address of the house: one include per app, no logic."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView

from project import devviews, health, views

urlpatterns = [
    path("", include("oauth.urls")),
    path("", views.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("docs", views.DocsView.as_view(), name="docs"),
    path("docs/oauth2-redirect", views.docs_oauth_redirect, name="docs-oauth-redirect"),
    path("api/v1/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/v1/auth/", include("accounts.api.urls")),
    path("api/v1/", include("accounts.api.user_urls")),
    path("api/v1/", include("permissions.api.urls")),
    path("api/v1/oauth/", include("oauth.api.urls")),
    path("api/v1/jobs/", include("jobs.api.urls")),
    path("", include("jobs.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/jobs/", include("jobs.dashboard.urls")),
    path("admin/", admin.site.urls),
]
if settings.DEV_PAGES:
    urlpatterns.append(path("dev/", include((devviews.urlpatterns, "dev"))))

handler400 = "project.views.bad_request"
handler403 = "project.views.permission_denied"
handler404 = "project.views.not_found"
handler500 = "project.views.server_error"

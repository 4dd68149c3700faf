"""Addresses of the app."""

from django.urls import path

from permissions.api import audit, views

app_name = "permissions_api"
urlpatterns = [
    path("audit", audit.AuditView.as_view(), name="audit"),
    path("roles", views.RoleListView.as_view(), name="roles"),
    path("users/<str:user_id>/roles", views.UserRolesView.as_view(), name="user-roles"),
    # A name may hold a slash.
    path("users/<str:user_id>/roles/<path:name>", views.UserRoleView.as_view(), name="user-role"),
]

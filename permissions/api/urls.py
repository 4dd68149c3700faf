"""Addresses of the app."""

from django.urls import path

from permissions.api import assignments, audit, decisions, grants, permissions, roles, teams

app_name = "permissions_api"
urlpatterns = [
    path("audit", audit.AuditView.as_view(), name="audit"),
    path("roles", roles.RoleListView.as_view(), name="roles"),
    path("roles/<str:role_id>", roles.RoleView.as_view(), name="role"),
    path("permissions", permissions.PermissionListView.as_view(), name="permissions"),
    path("permissions/check", decisions.CheckView.as_view(), name="check"),
    path("permissions/explain", decisions.ExplainView.as_view(), name="explain"),
    path("permissions/<str:permission_id>", permissions.PermissionView.as_view(), name="permission"),
    path("teams", teams.TeamListView.as_view(), name="teams"),
    path("teams/<str:team_id>/members", teams.TeamMembersView.as_view(), name="team-members"),
    path("users/<str:user_id>/roles", assignments.UserRolesView.as_view(), name="user-roles"),
    # A name may hold a slash.
    path("users/<str:user_id>/roles/<path:name>", assignments.UserRoleView.as_view(), name="user-role"),
    path("users/<str:user_id>/permissions", grants.UserPermissionsView.as_view(), name="user-permissions"),
    path("users/<str:user_id>/permissions/<path:name>", grants.UserPermissionView.as_view(), name="user-permission"),
    path("users/<str:user_id>/denials", grants.UserDenialsView.as_view(), name="user-denials"),
    path("users/<str:user_id>/denials/<path:name>", grants.UserDenialView.as_view(), name="user-denial"),
]

"""Addresses of the app. The namespace is the toolkit's, which looks its own views up by it."""

from django.urls import include, path

from oauth import views

app_name = "oauth2_provider"
_protocol = [
    path("token", views.TokenView.as_view(), name="token"),
    path("introspect", views.IntrospectView.as_view(), name="introspect"),
    path("revoke", views.RevokeView.as_view(), name="revoke-token"),
    path("userinfo", views.UserInfoView.as_view(), name="user-info"),
    path("jwks", views.KeySetView.as_view(), name="jwks-info"),
    path("device-authorization", views.DeviceAuthorizationView.as_view(), name="device-authorization"),
    path("authorize", views.AuthorizeView.as_view(), name="authorize"),
    path("consent", views.ConsentView.as_view(), name="consent"),
    path("logout", views.LogoutView.as_view(), name="rp-initiated-logout"),
    path("logout/confirm", views.ConfirmLogoutView.as_view(), name="confirm-logout"),
    path("device", views.DeviceView.as_view(), name="device"),
    path("device/decision", views.DeviceDecisionView.as_view(), name="device-decision"),
    path("device/decided", views.DeviceDecidedView.as_view(), name="device-decided"),
]
_own_pages = [
    path("apps/", views.ConnectionsView.as_view(), name="connections"),
    path("apps/<str:client_id>/revoke/", views.RevokeConnectionView.as_view(), name="revoke-connection"),
    path("tokens/", views.PersonalTokensView.as_view(), name="personal-tokens"),
    path("tokens/new/", views.NewPersonalTokenView.as_view(), name="new-personal-token"),
    path(
        "tokens/<uuid:token_id>/revoke/",
        views.RevokePersonalTokenView.as_view(),
        name="revoke-personal-token",
    ),
    path("clients/", views.OwnClientsView.as_view(), name="own-clients"),
    path("clients/new/", views.NewClientView.as_view(), name="new-client"),
    path("clients/<str:client_id>/", views.OwnClientView.as_view(), name="own-client"),
    path("clients/<str:client_id>/secret/", views.RenewSecretView.as_view(), name="renew-secret"),
    path(
        "clients/<str:client_id>/secrets/<int:secret_id>/end/",
        views.EndSecretView.as_view(),
        name="end-secret",
    ),
    path("clients/<str:client_id>/delete/", views.DeleteClientView.as_view(), name="delete-client"),
]
_metadata = [
    path("oauth-authorization-server", views.ServerMetadataView.as_view(), name="oauth-server-metadata"),
    path("openid-configuration", views.ServerMetadataView.as_view(), name="oidc-connect-discovery-info"),
    path("oauth-protected-resource", views.ResourceMetadataView.as_view(), name="oauth-resource-metadata"),
]
urlpatterns = [
    path("oauth/", include(_protocol)),
    path("accounts/", include(_own_pages)),
    path(".well-known/", include(_metadata)),
]

"""Addresses of the app. The namespace is the toolkit's, which looks its own views up by it."""

from django.urls import path

from oauth import views

app_name = "oauth2_provider"
urlpatterns = [
    path("oauth/authorize", views.AuthorizeView.as_view(), name="authorize"),
    path("oauth/consent", views.ConsentView.as_view(), name="consent"),
    path("oauth/logout", views.LogoutView.as_view(), name="rp-initiated-logout"),
    path("oauth/logout/confirm", views.ConfirmLogoutView.as_view(), name="confirm-logout"),
    path("oauth/token", views.TokenView.as_view(), name="token"),
    path("oauth/device-authorization", views.DeviceAuthorizationView.as_view(), name="device-authorization"),
    path("oauth/device", views.DeviceView.as_view(), name="device"),
    path("oauth/device/decision", views.DeviceDecisionView.as_view(), name="device-decision"),
    path("oauth/device/decided", views.DeviceDecidedView.as_view(), name="device-decided"),
    path("oauth/introspect", views.IntrospectView.as_view(), name="introspect"),
    path("oauth/revoke", views.RevokeView.as_view(), name="revoke-token"),
    path("accounts/apps/", views.ConnectionsView.as_view(), name="connections"),
    path("accounts/apps/<str:client_id>/revoke/", views.RevokeConnectionView.as_view(), name="revoke-connection"),
    path("accounts/tokens/", views.PersonalTokensView.as_view(), name="personal-tokens"),
    path("accounts/tokens/new/", views.NewPersonalTokenView.as_view(), name="new-personal-token"),
    path(
        "accounts/tokens/<uuid:token_id>/revoke/",
        views.RevokePersonalTokenView.as_view(),
        name="revoke-personal-token",
    ),
    path("accounts/clients/", views.OwnClientsView.as_view(), name="own-clients"),
    path("accounts/clients/new/", views.NewClientView.as_view(), name="new-client"),
    path("accounts/clients/<str:client_id>/", views.OwnClientView.as_view(), name="own-client"),
    path("accounts/clients/<str:client_id>/secret/", views.RenewSecretView.as_view(), name="renew-secret"),
    path(
        "accounts/clients/<str:client_id>/secrets/<int:secret_id>/end/",
        views.EndSecretView.as_view(),
        name="end-secret",
    ),
    path("accounts/clients/<str:client_id>/delete/", views.DeleteClientView.as_view(), name="delete-client"),
    path("oauth/userinfo", views.UserInfoView.as_view(), name="user-info"),
    path("oauth/jwks", views.KeySetView.as_view(), name="jwks-info"),
    path(".well-known/oauth-authorization-server", views.ServerMetadataView.as_view(), name="oauth-server-metadata"),
    path(".well-known/openid-configuration", views.ServerMetadataView.as_view(), name="oidc-connect-discovery-info"),
    path(".well-known/oauth-protected-resource", views.ResourceMetadataView.as_view(), name="oauth-resource-metadata"),
]

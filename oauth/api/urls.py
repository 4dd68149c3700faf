"""Addresses under ``/api/v1/oauth/``."""

from django.urls import path

from oauth.api import clients, own

app_name = "oauth_api"
urlpatterns = [
    path("clients", clients.ClientListView.as_view(), name="clients"),
    path("clients/<str:client_id>", clients.ClientView.as_view(), name="client"),
    path("clients/<str:client_id>/secret", clients.ClientSecretView.as_view(), name="client-secret"),
    path(
        "clients/<str:client_id>/secrets/<int:secret_id>",
        clients.ClientSecretEndView.as_view(),
        name="end-client-secret",
    ),
    path("my-clients", clients.OwnClientListView.as_view(), name="my-clients"),
    path("my-clients/<str:client_id>", clients.OwnClientView.as_view(), name="my-client"),
    path("my-clients/<str:client_id>/secret", clients.OwnClientSecretView.as_view(), name="my-client-secret"),
    path(
        "my-clients/<str:client_id>/secrets/<int:secret_id>",
        clients.OwnClientSecretEndView.as_view(),
        name="end-my-client-secret",
    ),
    path("connections", own.ConnectionListView.as_view(), name="connections"),
    path("connections/<str:client_id>", own.ConnectionView.as_view(), name="connection"),
    path("tokens", own.PersonalTokenListView.as_view(), name="personal-tokens"),
    path("tokens/<uuid:token_id>", own.PersonalTokenView.as_view(), name="personal-token"),
]

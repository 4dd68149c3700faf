"""The pages and endpoints of the protocol."""

from oauth.views.authorize import AuthorizeView, ConsentView
from oauth.views.connections import ConnectionsView, RevokeConnectionView
from oauth.views.devices import DeviceAuthorizationView, DeviceDecidedView, DeviceDecisionView, DeviceView
from oauth.views.logout import ConfirmLogoutView, LogoutView
from oauth.views.metadata import KeySetView, ResourceMetadataView, ServerMetadataView
from oauth.views.own_clients import (
    DeleteClientView,
    EndSecretView,
    NewClientView,
    OwnClientsView,
    OwnClientView,
    RenewSecretView,
)
from oauth.views.personal_tokens import NewPersonalTokenView, PersonalTokensView, RevokePersonalTokenView
from oauth.views.programs import FormEndpoint, IntrospectView, RevokeView, TokenView
from oauth.views.userinfo import UserInfoView

__all__ = [
    "AuthorizeView",
    "ConfirmLogoutView",
    "ConnectionsView",
    "ConsentView",
    "DeleteClientView",
    "DeviceAuthorizationView",
    "DeviceDecidedView",
    "DeviceDecisionView",
    "DeviceView",
    "EndSecretView",
    "FormEndpoint",
    "IntrospectView",
    "KeySetView",
    "LogoutView",
    "NewClientView",
    "NewPersonalTokenView",
    "OwnClientView",
    "OwnClientsView",
    "PersonalTokensView",
    "RenewSecretView",
    "ResourceMetadataView",
    "RevokeConnectionView",
    "RevokePersonalTokenView",
    "RevokeView",
    "ServerMetadataView",
    "TokenView",
    "UserInfoView",
]

"""The pages and endpoints of the protocol."""

from oauth.views.authorize import AuthorizeView, ConsentView
from oauth.views.devices import DeviceAuthorizationView, DeviceDecidedView, DeviceDecisionView, DeviceView
from oauth.views.logout import ConfirmLogoutView, LogoutView
from oauth.views.metadata import KeySetView, ResourceMetadataView, ServerMetadataView
from oauth.views.programs import FormEndpoint, IntrospectView, RevokeView, TokenView
from oauth.views.userinfo import UserInfoView

__all__ = [
    "AuthorizeView",
    "ConfirmLogoutView",
    "ConsentView",
    "DeviceAuthorizationView",
    "DeviceDecidedView",
    "DeviceDecisionView",
    "DeviceView",
    "FormEndpoint",
    "IntrospectView",
    "KeySetView",
    "LogoutView",
    "ResourceMetadataView",
    "RevokeView",
    "ServerMetadataView",
    "TokenView",
    "UserInfoView",
]

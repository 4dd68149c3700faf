"""The pages and endpoints of the protocol."""

from oauth.views.authorize import AuthorizeView, ConsentView
from oauth.views.devices import DeviceAuthorizationView, DeviceDecidedView, DeviceDecisionView, DeviceView
from oauth.views.logout import ConfirmLogoutView, LogoutView
from oauth.views.metadata import MetadataView
from oauth.views.programs import FormEndpoint, IntrospectView, RevokeView, TokenView

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
    "LogoutView",
    "MetadataView",
    "RevokeView",
    "TokenView",
]

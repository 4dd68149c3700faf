"""The pages and endpoints of the protocol."""

from oauth.views.authorize import AuthorizeView
from oauth.views.metadata import MetadataView
from oauth.views.programs import FormEndpoint, IntrospectView, RevokeView, TokenView

__all__ = ["AuthorizeView", "FormEndpoint", "IntrospectView", "MetadataView", "RevokeView", "TokenView"]

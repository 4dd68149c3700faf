"""Pages of the app in the admin. No secret, code or token is ever shown, but a new secret of a client once."""

import oauth2_provider.admin  # noqa: F401 - registers the toolkit's own pages, which ours replace
from django.contrib import admin

from oauth.models import AccessToken, Application, Grant, IDToken, RefreshToken

for _model in (Application, AccessToken, Grant, IDToken, RefreshToken):
    admin.site.unregister(_model)

from oauth.admin import clients, issued  # noqa: E402 - they register ours

__all__ = ["clients", "issued"]

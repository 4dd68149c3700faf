"""Every policy of the authorization server, one method per rule."""

from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    """Django OAuth Toolkit's validator with the rules of the house."""

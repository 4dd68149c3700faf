"""OAuth, beside stock django-oauth-toolkit and npm oidc-provider."""

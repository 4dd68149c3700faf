"""How API requests are authenticated."""

from rest_framework.authentication import TokenAuthentication as BearerAuthentication

__all__ = ["BearerAuthentication"]

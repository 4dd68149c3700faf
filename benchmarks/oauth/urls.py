"""The addresses of the house, and one whose view does nothing but be allowed."""

from typing import ClassVar

from django.urls import include, path
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class ReadView(APIView):
    """Answers whoever has the scope."""

    permission_classes = [IsAuthenticated]
    required_scopes: ClassVar = {"GET": frozenset({"users:read"})}

    def get(self, _request: Request) -> Response:
        """Answer."""
        return Response({"ok": True})


urlpatterns = [path("read", ReadView.as_view()), path("", include("project.urls"))]

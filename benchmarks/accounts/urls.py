"""The addresses of the house, and one whose view does nothing but be allowed."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from permissions.drf import HasPermission


class ReadView(APIView):
    """Answers whoever has the permission."""

    permission_classes = [HasPermission("accounts.view_user")]

    def get(self, _request: Request) -> Response:
        """Answer."""
        return Response({"ok": True})


urlpatterns = [path("api/v1/read", ReadView.as_view()), path("", include("project.urls"))]

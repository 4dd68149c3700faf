"""The toolkit's addresses, and one whose view does nothing but be allowed."""

from django.urls import include, path
from oauth2_provider.contrib.rest_framework import TokenHasScope
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class ReadView(APIView):
    """Answers whoever has the scope."""

    permission_classes = [TokenHasScope]
    required_scopes = ["users:read"]

    def get(self, _request: Request) -> Response:
        """Answer."""
        return Response({"ok": True})


urlpatterns = [path("api/v1/read", ReadView.as_view()), path("o/", include("oauth2_provider.urls"))]

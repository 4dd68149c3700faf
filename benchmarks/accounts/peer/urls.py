"""The peer's addresses: sign-in and refresh as simplejwt has them, and a view that does nothing but be allowed."""

from typing import override

from django.urls import path
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView


class MayViewUsers(BasePermission):
    """Lets in who has a permission of Django's."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Ask Django."""
        return request.user.has_perm("auth.view_user")


class ReadView(APIView):
    """Answers whoever has the permission."""

    permission_classes = [MayViewUsers]

    def get(self, _request: Request) -> Response:
        """Answer."""
        return Response({"ok": True})


urlpatterns = [
    path("api/v1/read", ReadView.as_view()),
    path("login", TokenObtainPairView.as_view()),
    path("refresh", TokenRefreshView.as_view()),
]

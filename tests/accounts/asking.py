"""A process of its own that answers API requests: a token on each line in, status and number of queries out."""

import sys

import django

django.setup()

from django.db import connection  # noqa: E402 - the house must be set up first
from django.test.utils import CaptureQueriesContext  # noqa: E402 - as above
from rest_framework.request import Request  # noqa: E402 - as above
from rest_framework.response import Response  # noqa: E402 - as above
from rest_framework.test import APIRequestFactory  # noqa: E402 - as above
from rest_framework.views import APIView  # noqa: E402 - as above

from accounts.drf import BearerAuthentication  # noqa: E402 - as above
from permissions.drf import HasPermission  # noqa: E402 - as above


class UsersView(APIView):
    """For who may see users."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [HasPermission("accounts.view_user")]

    def get(self, request: Request) -> Response:
        return Response(str(request.user.pk))


def ask(raw: str) -> tuple[int, int]:
    """Return the status of the answer, and how many queries it took."""
    request = APIRequestFactory().get("/api/v1/any", headers={"Authorization": f"Bearer {raw}"})
    with CaptureQueriesContext(connection) as queries:
        response = UsersView.as_view()(request)
    return response.status_code, len(queries)


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write("{} {}\n".format(*ask(line.strip())))
        sys.stdout.flush()

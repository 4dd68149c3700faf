"""Clients over HTTP: all of them for administrators, and their own for those to whom they belong."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.drf import IsUser
from oauth import selectors, services
from oauth.api import serializers
from oauth.models import Application
from permissions.drf import HasPermission, HasReadWriteScopes, OutsideTeams, get_actor

_ID = OpenApiParameter("client_id", str, OpenApiParameter.PATH, description="The `client_id`.")
_SECRET_ID = OpenApiParameter("secret_id", int, OpenApiParameter.PATH, description="Id of the secret.")
_ONCE = "The answer holds the secret, if there is one; it is stored hashed and can't be had again."
_SCOPES = HasReadWriteScopes("clients")


class ClientsView(OutsideTeams, APIView):
    """What the addresses of clients share; who is an administrator decides about all clients."""

    body_class: ClassVar[type[serializers.OwnClientBody]] = serializers.ClientBody

    @override
    def finalize_response(self, request: Request, response: Response, *args: object, **kwargs: object) -> Response:
        """Keep answers out of caches: some hold a secret."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized["Cache-Control"] = "no-store"
        return finalized

    def find_owner(self) -> Any:  # Any: the key of a user, None for all clients
        """Return whose clients the address is about; None where it is about all."""
        return None

    def get_client(self, client_id: str) -> Application:
        """Return the client of the address.

        Raises:
            ClientDoesNotExist: There is none such for who asks.
        """
        return selectors.get_client(client_id=client_id, owner_id=self.find_owner())

    def read(self, **options: Any) -> dict[str, Any]:  # Any (twice): as DRF has it
        """Return what the body says of a client, as columns.

        Raises:
            ValidationError: It is not as it should be, or says what isn't for the caller to decide.
        """
        may_decide = self.find_owner() is None and get_actor(self.request).has_perm("oauth.change_application")
        body = self.body_class(data=self.request.data, context={"may_decide": may_decide}, **options)
        body.is_valid(raise_exception=True)
        return body.to_columns()


class OwnClientsView(ClientsView):
    """The same for whoever may have clients, about those that belong to them."""

    permission_classes = [IsUser, HasPermission("oauth.add_application"), _SCOPES]
    body_class = serializers.OwnClientBody

    @override
    def find_owner(self) -> Any:  # Any: as above
        """Return who asks."""
        return get_actor(self.request).pk


class _ListView(ClientsView, ListAPIView[Application]):
    serializer_class = serializers.Client

    @override
    def get_queryset(self) -> QuerySet[Application]:
        """Return the clients with their secrets, by name."""
        return selectors.list_clients(owner_id=self.find_owner())

    def create(self, request: Request) -> Response:
        """Make a client."""
        columns = self.read()
        owner = self.find_owner()
        if owner is not None:
            columns["user_id"] = owner
        registered = services.save_new_client(application=Application(**columns))
        return _answer(registered, HTTPStatus.CREATED)


class _OneView(ClientsView):
    def show(self, client_id: str) -> Response:
        """Show one client."""
        return Response(serializers.Client(self.get_client(client_id)).data)

    def change(self, client_id: str) -> Response:
        """Change what the body names, all or nothing."""
        application = self.get_client(client_id)
        services.change_client(application=application, changes=self.read(partial=True))
        return self.show(client_id)

    def remove(self, client_id: str) -> Response:
        """Delete the client."""
        services.delete_client(application=self.get_client(client_id))
        return Response(status=HTTPStatus.NO_CONTENT)


class _SecretView(ClientsView):
    def renew(self, request: Request, client_id: str) -> Response:
        """Make another secret."""
        body = serializers.NewSecret(data=request.data)
        body.is_valid(raise_exception=True)
        overlap = timedelta(seconds=body.validated_data["overlap_seconds"])
        return _answer(
            services.renew_client_secret(application=self.get_client(client_id), overlap=overlap), HTTPStatus.CREATED
        )

    def end(self, client_id: str, secret_id: int) -> Response:
        """End a secret."""
        secret = selectors.get_client_secret(application=self.get_client(client_id), secret_id=secret_id)
        services.end_client_secret(secret=secret, now=timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)


class ClientListView(_ListView):
    """All clients."""

    permission_classes = [HasPermission(GET="oauth.view_application", POST="oauth.add_application"), _SCOPES]

    @override
    @extend_schema(operation_id="list_clients", summary="List the OAuth clients", tags=["clients"])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List all clients by name, each with its secrets, but not what they are."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_client",
        summary="Make an OAuth client",
        description=(
            f"{_ONCE} `owner`, `is_active`, `skip_authorization`, `allowed_resources` and the grant type `password` "
            "need the right to change clients, too."
        ),
        request=serializers.ClientBody,
        responses={201: serializers.RegisteredClient},
        tags=["clients"],
    )
    def post(self, request: Request) -> Response:
        """Make a client."""
        return self.create(request)


class ClientView(_OneView):
    """One client."""

    permission_classes = [
        HasPermission(
            GET="oauth.view_application", PATCH="oauth.change_application", DELETE="oauth.delete_application"
        ),
        _SCOPES,
    ]

    @extend_schema(
        operation_id="get_client",
        summary="Show an OAuth client",
        parameters=[_ID],
        responses={200: serializers.Client},
        tags=["clients"],
    )
    def get(self, request: Request, client_id: str) -> Response:
        """Show one client."""
        return self.show(client_id)

    @extend_schema(
        operation_id="update_client",
        summary="Change an OAuth client",
        description="What it may no longer do ends at once. Its type can't be changed.",
        parameters=[_ID],
        request=serializers.ClientBody,
        responses={200: serializers.Client},
        tags=["clients"],
    )
    def patch(self, request: Request, client_id: str) -> Response:
        """Change what the body names."""
        return self.change(client_id)

    @extend_schema(
        operation_id="delete_client",
        summary="Delete an OAuth client",
        description="With all that it has: its tokens are dead at once.",
        parameters=[_ID],
        request=None,
        responses={204: None},
        tags=["clients"],
    )
    def delete(self, request: Request, client_id: str) -> Response:
        """Delete it."""
        return self.remove(client_id)


class ClientSecretView(_SecretView):
    """The secret of a client."""

    permission_classes = [HasPermission("oauth.change_application"), _SCOPES]

    @extend_schema(
        operation_id="renew_client_secret",
        summary="Give an OAuth client another secret",
        description=f"{_ONCE} Two secrets live at most.",
        parameters=[_ID],
        request=serializers.NewSecret,
        responses={201: serializers.RegisteredClient},
        tags=["clients"],
    )
    def post(self, request: Request, client_id: str) -> Response:
        """Make another secret."""
        return self.renew(request, client_id)


class ClientSecretEndView(_SecretView):
    """One secret of a client."""

    permission_classes = [HasPermission("oauth.change_application"), _SCOPES]

    @extend_schema(
        operation_id="end_client_secret",
        summary="End a secret of an OAuth client",
        description="It no longer works from now on.",
        parameters=[_ID, _SECRET_ID],
        request=None,
        responses={204: None},
        tags=["clients"],
    )
    def delete(self, request: Request, client_id: str, secret_id: int) -> Response:
        """End it."""
        return self.end(client_id, secret_id)


class OwnClientListView(OwnClientsView, _ListView):
    """One's own clients."""

    @override
    @extend_schema(operation_id="list_my_clients", summary="List my OAuth clients", tags=["clients"])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List the clients that belong to the user who asks."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_my_client",
        summary="Make an OAuth client of my own",
        description=_ONCE,
        request=serializers.OwnClientBody,
        responses={201: serializers.RegisteredClient},
        tags=["clients"],
    )
    def post(self, request: Request) -> Response:
        """Make a client that belongs to the user who asks."""
        return self.create(request)


class OwnClientView(OwnClientsView, _OneView):
    """One of one's own clients."""

    @extend_schema(
        operation_id="get_my_client",
        summary="Show an OAuth client of mine",
        parameters=[_ID],
        responses={200: serializers.Client},
        tags=["clients"],
    )
    def get(self, request: Request, client_id: str) -> Response:
        """Show it."""
        return self.show(client_id)

    @extend_schema(
        operation_id="update_my_client",
        summary="Change an OAuth client of mine",
        description="What it may no longer do ends at once. Its type can't be changed.",
        parameters=[_ID],
        request=serializers.OwnClientBody,
        responses={200: serializers.Client},
        tags=["clients"],
    )
    def patch(self, request: Request, client_id: str) -> Response:
        """Change what the body names."""
        return self.change(client_id)

    @extend_schema(
        operation_id="delete_my_client",
        summary="Delete an OAuth client of mine",
        description="With all that it has: its tokens are dead at once.",
        parameters=[_ID],
        request=None,
        responses={204: None},
        tags=["clients"],
    )
    def delete(self, request: Request, client_id: str) -> Response:
        """Delete it."""
        return self.remove(client_id)


class OwnClientSecretView(OwnClientsView, _SecretView):
    """The secret of one of one's own clients."""

    @extend_schema(
        operation_id="renew_my_client_secret",
        summary="Give an OAuth client of mine another secret",
        description=f"{_ONCE} Two secrets live at most.",
        parameters=[_ID],
        request=serializers.NewSecret,
        responses={201: serializers.RegisteredClient},
        tags=["clients"],
    )
    def post(self, request: Request, client_id: str) -> Response:
        """Make another secret."""
        return self.renew(request, client_id)


class OwnClientSecretEndView(OwnClientsView, _SecretView):
    """One secret of one of one's own clients."""

    @extend_schema(
        operation_id="end_my_client_secret",
        summary="End a secret of an OAuth client of mine",
        description="It no longer works from now on.",
        parameters=[_ID, _SECRET_ID],
        request=None,
        responses={204: None},
        tags=["clients"],
    )
    def delete(self, request: Request, client_id: str, secret_id: int) -> Response:
        """End it."""
        return self.end(client_id, secret_id)


def _answer(registered: services.RegisteredClient, status: HTTPStatus) -> Response:
    application = registered.application
    body = serializers.Client(selectors.get_client(client_id=application.client_id)).data
    return Response({**body, "client_secret": registered.client_secret}, status)

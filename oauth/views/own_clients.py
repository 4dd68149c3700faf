"""Pages: the clients that belong to a person, for whoever may have some."""

from typing import override

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from accounts.views import OwnPage
from oauth.exceptions import ClientDoesNotExist, InvalidClientMetadata, SecretDoesNotExist
from oauth.forms import OwnClientForm, SecretForm
from oauth.models import Application
from oauth.selectors import get_client, get_client_secret, list_clients
from oauth.services import (
    RegisteredClient,
    change_client,
    delete_client,
    end_client_secret,
    renew_client_secret,
    save_new_client,
)
from permissions.scope import use_team

#: So many are shown; the API lists more.
_SHOWN = 100


class ClientPage(OwnPage):
    """A page for whoever may have clients: in the whole house, since clients belong to no team."""

    @override
    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        with use_team(None):
            if request.user.is_authenticated and not request.user.has_perm("oauth.add_application"):
                raise PermissionDenied
            return super().dispatch(request, *args, **kwargs)

    def get_own_client(self) -> Application:
        """Return the client of the address.

        Raises:
            Http404: There is none, or it isn't theirs.
        """
        try:
            return get_client(client_id=self.kwargs["client_id"], owner_id=self.user.pk)
        except ClientDoesNotExist as error:
            raise Http404 from error

    def show_secret(self, registered: RegisteredClient) -> HttpResponse:
        """Show a secret that was made just now; it is kept nowhere from where another page could show it."""
        self.template_name = "oauth/client_secret.html"  # type: ignore[misc]  # of this answer alone
        return self.show(client=registered.application, secret=registered.client_secret)


class OwnClientsView(ClientPage):
    """The clients that there are."""

    template_name = "oauth/own_clients.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """List them by name."""
        clients = list(list_clients(owner_id=self.user.pk)[: _SHOWN + 1])
        return self.show(clients=clients[:_SHOWN], has_more=len(clients) > _SHOWN)


class NewClientView(ClientPage):
    """Make one. The same form once more is refused, since there is a client of that name."""

    template_name = "oauth/new_client.html"
    is_sensitive = True

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the form."""
        return self.show(form=OwnClientForm(instance=Application(user=self.user)))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make it and show its secret, or say what is wrong."""
        form = OwnClientForm(request.POST, instance=Application(user=self.user))
        if form.is_valid():
            try:
                return self.show_secret(save_new_client(application=form.instance))
            except InvalidClientMetadata as refusal:
                form.add_refusal(refusal)
        return self.show(form=form)


class OwnClientView(ClientPage):
    """Look at one, and change it."""

    template_name = "oauth/own_client.html"

    def get(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Show it."""
        client = self.get_own_client()
        return self.show(client=client, form=OwnClientForm(instance=client), now=timezone.now())

    def post(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Change what was changed in the form, or say what is wrong."""
        client = self.get_own_client()
        form = OwnClientForm(request.POST, instance=client)
        if form.is_valid():
            changes = {name: getattr(form.instance, name) for name in form.changed_data}
            try:
                change_client(application=client, changes=changes)
            except InvalidClientMetadata as refusal:
                form.add_refusal(refusal)
            else:
                messages.success(request, "The client is saved.")
                return redirect("oauth2_provider:own-client", client_id)
        return self.show(client=self.get_own_client(), form=form, now=timezone.now())


class RenewSecretView(ClientPage):
    """Make another secret for one."""

    template_name = "oauth/renew_secret.html"
    is_sensitive = True

    def get(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Ask what becomes of the one that it has."""
        return self.show(client=self.get_own_client(), form=SecretForm())

    def post(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Make it and show it."""
        client, form = self.get_own_client(), SecretForm(request.POST)
        if form.is_valid():
            try:
                return self.show_secret(renew_client_secret(application=client, overlap=form.cleaned_data["overlap"]))
            except InvalidClientMetadata as refusal:
                form.add_refusal(refusal)
        return self.show(client=client, form=form)


class EndSecretView(ClientPage):
    """End a secret of one."""

    def post(self, request: HttpRequest, client_id: str, secret_id: int) -> HttpResponse:
        """End it at once."""
        try:
            secret = get_client_secret(application=self.get_own_client(), secret_id=secret_id)
        except SecretDoesNotExist as error:
            raise Http404 from error
        end_client_secret(secret=secret, now=timezone.now())
        messages.success(request, f"The secret {secret.hint}… no longer works.")
        return redirect("oauth2_provider:own-client", client_id)


class DeleteClientView(ClientPage):
    """Delete one."""

    template_name = "oauth/delete_client.html"

    def get(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Ask once more."""
        return self.show(client=self.get_own_client())

    def post(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Delete it."""
        client = self.get_own_client()
        delete_client(application=client)
        messages.success(request, f"{client.name} is deleted.")
        return redirect("oauth2_provider:own-clients")

"""Pages: what people see and change of their own account."""

from typing import Any, override

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.api.views.records import answer_export
from accounts.forms import NewEmailForm, PageForm, ProfileForm
from accounts.models import EmailToken
from accounts.services import confirm_email_change, delete_account, request_email_change, update_profile
from accounts.throttles import Door, note_success
from accounts.views.pages import FormPage, LinkPage, OwnPage


class ProfileView(OwnPage, FormPage):
    """The name, and the ways to everything else."""

    template_name = "accounts/profile.html"
    form_class = ProfileForm

    @override
    def get_initial(self) -> dict[str, Any]:
        return {"name": self.user.name}

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        update_profile(user=self.user, name=data["name"])
        messages.success(self.request, "Your name is saved.")
        return redirect("accounts:profile")


class ChangeEmailView(OwnPage, FormPage):
    """Have a link sent to another address. Whether that has an account shows in no answer."""

    template_name = "accounts/change_email.html"
    form_class = NewEmailForm
    door = Door.CHANGE_EMAIL
    is_sensitive = True

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        request_email_change(user=self.user, email=data["email"], session_id=self.session.pk)
        message = "We sent a link to the new address. Your address stays as it is until you follow the link."
        messages.success(self.request, message)
        return redirect("accounts:profile")


class ConfirmEmailView(LinkPage):
    """Take the address that the link was sent to. Every session ends."""

    template_name = "accounts/confirm_email.html"
    door = Door.CONFIRM
    purpose = EmailToken.Purpose.CHANGE_EMAIL

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        now = timezone.now()
        user = confirm_email_change(token=self.token, now=now)
        note_success(self.request, door=Door.CONFIRM, account=user.email, now=now)
        return redirect("accounts:email-changed")


class ExportView(OwnPage):
    """Download all that is stored about oneself."""

    template_name = "accounts/export.html"
    is_sensitive = True

    def get(self, request: HttpRequest) -> HttpResponse:
        """Say what the file holds."""
        return self.show()

    def post(self, request: HttpRequest) -> FileResponse:
        """Send the file."""
        return answer_export(user=self.user, now=timezone.now())


class DeleteAccountView(OwnPage, FormPage):
    """Delete the account, at once and for good."""

    template_name = "accounts/delete_account.html"
    form_class = PageForm
    is_sensitive = True

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        delete_account(user=self.user, now=timezone.now())
        self.request.session.flush()  # its user is gone, so there is nobody to sign out
        return redirect("accounts:account-deleted")

"""Pages: choosing another password."""

from typing import override

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.exceptions import PasswordRefused
from accounts.forms import AddressForm, NewPasswordForm, PasswordForm
from accounts.models import EmailToken
from accounts.services import change_password, request_password_reset, reset_password
from accounts.throttles import Door, note_success
from accounts.views.pages import FormPage, LinkPage, OwnPage, send_to_mail


class RequestPasswordResetView(FormPage):
    """Have a link sent with which a new password can be chosen. The answer is the same for every address."""

    template_name = "accounts/request_password_reset.html"
    form_class = AddressForm
    door = Door.RESET

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        request_password_reset(email=data["email"])
        return send_to_mail(self.request, "password-reset-requested")


class ResetPasswordView(LinkPage):
    """Choose a new password with a mailed link. It signs nobody in."""

    template_name = "accounts/reset_password.html"
    form_class = NewPasswordForm
    door = Door.CONFIRM
    purpose = EmailToken.Purpose.RESET_PASSWORD

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        now = timezone.now()
        user = reset_password(token=self.token, password=data["password"], now=now)
        note_success(self.request, door=Door.CONFIRM, account=user.email, now=now)
        return redirect("accounts:password-reset")


class ChangePasswordView(OwnPage, FormPage):
    """Choose another password by showing the present one. All sessions end, and this browser begins a new one."""

    template_name = "accounts/change_password.html"
    form_class = PasswordForm
    door = Door.REAUTHENTICATE
    refused_field = "current_password"

    @override
    def get_account(self) -> str:
        return self.user.email

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        now = timezone.now()
        try:
            change_password(
                user=self.user, current_password=data["current_password"], new_password=data["new_password"], now=now
            )
        except PasswordRefused:  # the present one was right
            note_success(self.request, door=Door.REAUTHENTICATE, account=self.user.email, now=now)
            raise
        note_success(self.request, door=Door.REAUTHENTICATE, account=self.user.email, now=now)
        login(self.request, self.user)
        messages.success(self.request, "Your password is changed. All your other devices were signed out.")
        return redirect("accounts:profile")

"""Pages: sign up, and showing that an address is one's own."""

from typing import override

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from accounts.forms import AddressForm, RegistrationForm
from accounts.models import EmailToken
from accounts.services import register_user, resend_verification, verify_email
from accounts.throttles import Door, note_success
from accounts.views.pages import FormPage, LinkPage, send_to_mail


class RegisterView(FormPage):
    """Sign up. The answer is the same whether the address has an account already."""

    template_name = "accounts/register.html"
    form_class = RegistrationForm
    door = Door.REGISTER

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        register_user(email=data["email"], password=data["password"], name=data["name"], now=timezone.now())
        return send_to_mail(self.request, "registered")


class ResendVerificationView(FormPage):
    """Have the link that confirms an address sent again. The answer is the same for every address."""

    template_name = "accounts/resend_verification.html"
    form_class = AddressForm
    door = Door.RESEND

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        resend_verification(email=data["email"])
        return send_to_mail(self.request, "verification-resent")


class VerifyEmailView(LinkPage):
    """Confirm the address of an account."""

    template_name = "accounts/verify_email.html"
    door = Door.VERIFY
    purpose = EmailToken.Purpose.VERIFY_EMAIL

    @override
    def submit(self, data: dict[str, str]) -> HttpResponse:
        now = timezone.now()
        user = verify_email(token=self.token, now=now)
        note_success(self.request, door=Door.VERIFY, account=user.email, now=now)
        return redirect("accounts:email-verified")

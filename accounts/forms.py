"""Forms of the pages."""

from typing import override

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from accounts.exceptions import EmailNotVerified, InvalidCredentials
from accounts.services import check_credentials


class SignInForm(AuthenticationForm):
    """E-mail and password; refuses what the API refuses, in the same words."""

    username = forms.EmailField(
        label="E-mail address",
        max_length=254,
        error_messages={"invalid": "Enter an e-mail address, such as name@example.com."},
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    @override
    def clean(self) -> dict[str, object]:
        """Check both together."""
        email, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if email and password:
            try:
                self.user_cache = check_credentials(email=email, password=password)
            except (InvalidCredentials, EmailNotVerified) as error:
                raise forms.ValidationError(error.message, error.code) from error
        return self.cleaned_data

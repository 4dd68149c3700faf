"""Forms of the pages. They settle what can be read; whether it is accepted, the services say."""

from typing import Any, Final, override

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.validators import MaxLengthValidator

from accounts.exceptions import EmailNotVerified, InvalidCredentials
from accounts.passwords import get_minimum_length
from accounts.services import check_credentials
from project.exceptions import DomainError
from project.printable import validate_name

_MAX_EMAIL_CHARACTERS: Final = 254
_MAX_NAME_CHARACTERS: Final = 150
_MAX_PASSWORD_CHARACTERS: Final = 256


class EmailField(forms.EmailField):
    """An e-mail address, lower-cased before its length counts: that can make it longer."""

    def __init__(self, *, autocomplete: str, label: str = "E-mail address", is_first: bool = True) -> None:
        """Take the purpose that browsers fill in by, the label, and whether the cursor starts there."""
        super().__init__(
            label=label,
            max_length=_MAX_EMAIL_CHARACTERS,
            error_messages={
                "required": "Enter your e-mail address.",
                "invalid": "Enter an e-mail address, such as name@example.com.",
            },
            widget=forms.EmailInput(attrs={"autocomplete": autocomplete, "autofocus": is_first}),
        )

    @override
    def to_python(self, value: Any) -> str:  # Any: as Django has it
        """Lower the case."""
        return (super().to_python(value) or "").lower()


class PasswordField(forms.CharField):
    """A password, as it is typed or pasted.

    The box has no ``maxlength``, which would cut off what is pasted without a word.
    """

    def __init__(self, *, autocomplete: str, label: str = "Password", is_first: bool = False) -> None:
        """Take ``current-password`` or ``new-password``, the label, and whether the cursor starts there."""
        is_new = autocomplete == "new-password"
        limit = f"A password can have at most {_MAX_PASSWORD_CHARACTERS} characters."
        super().__init__(
            label=label,
            strip=False,
            error_messages={"required": "Choose a password." if is_new else "Enter your password."},
            validators=[MaxLengthValidator(_MAX_PASSWORD_CHARACTERS, limit)],
            widget=forms.PasswordInput(attrs={"autocomplete": autocomplete, "autofocus": is_first}),
        )
        self.is_new = is_new

    @override
    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """Say the rule beside the box; the setting may have changed since the class was made."""
        if self.is_new:
            self.help_text = (
                f"At least {get_minimum_length()} characters, of any kind. A few words that don't belong together are "
                "easy to remember; a password manager is easier still."
            )
        return super().get_bound_field(form, field_name)


class NameField(forms.CharField):
    """What pages and mails call a person."""

    def __init__(self) -> None:
        """Make it optional."""
        super().__init__(
            label="Name (optional)",
            required=False,
            max_length=_MAX_NAME_CHARACTERS,
            validators=[validate_name],
            widget=forms.TextInput(attrs={"autocomplete": "name"}),
        )


class PageForm(forms.Form):
    """A form of a page, which can be told what a service refused.

    The cursor starts in its first box; where something is wrong, at the list of what is wrong.
    """

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django has it
        super().__init__(*args, **kwargs)
        if self.is_bound:
            for field in self.fields.values():
                field.widget.attrs.pop("autofocus", None)

    def add_refusal(self, refusal: DomainError, *, field: str | None = None) -> None:
        """Show why a service refused: beside the fields that it names, else beside ``field``, else above all."""
        for name, messages in refusal.fields.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)
        if not refusal.fields:
            self.add_error(field, refusal.message)


class SignInForm(PageForm, AuthenticationForm):
    """E-mail and password; refuses what the API refuses, in the same words."""

    username = EmailField(autocomplete="username")
    password = PasswordField(autocomplete="current-password")

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


class RegistrationForm(PageForm):
    """What a new account begins with."""

    email = EmailField(autocomplete="username")
    name = NameField()
    password = PasswordField(autocomplete="new-password")


class AddressForm(PageForm):
    """The address to which a link is to be sent."""

    email = EmailField(autocomplete="username")


class NewPasswordForm(PageForm):
    """Another password, chosen with a mailed link."""

    password = PasswordField(autocomplete="new-password", label="New password", is_first=True)


class PasswordForm(PageForm):
    """Another password, chosen by who shows the present one."""

    current_password = PasswordField(autocomplete="current-password", label="Present password", is_first=True)
    new_password = PasswordField(autocomplete="new-password", label="New password")


class OwnPasswordForm(PageForm):
    """The password of who is signed in, once more."""

    password = PasswordField(autocomplete="current-password", is_first=True)


class ProfileForm(PageForm):
    """What people may change of themselves at once."""

    name = NameField()


class NewEmailForm(PageForm):
    """The address that somebody wants to have."""

    email = EmailField(autocomplete="email", label="New e-mail address")

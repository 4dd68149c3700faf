"""What people decide about a client: for the admin, and for those to whom a client belongs."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, override

from django import forms

from accounts.forms import PageForm
from oauth.conf import get_settings
from oauth.models import Application, GrantType
from oauth.scopes import describe_scopes, list_personal_scopes
from oauth.services.personal_tokens import DEFAULT_PERSONAL_TOKEN_DAYS, MAX_NAME_CHARACTERS, PERSONAL_TOKEN_DAYS

if TYPE_CHECKING:
    ClientModelForm = forms.ModelForm[Application]
else:  # generic in the stubs only
    ClientModelForm = forms.ModelForm

#: How long the secrets that a client has go on working beside a new one: seconds, and what is said of it.
OVERLAPS: Final = (
    (0, "End at once the secrets that it has"),
    (3600, "Let them work for 1 hour more"),
    (24 * 3600, "Let them work for 1 day more"),
    (7 * 24 * 3600, "Let them work for 7 days more"),
)
#: Columns that hold addresses between spaces, and are typed one per line.
_ADDRESSES: Final = ("redirect_uris", "post_logout_redirect_uris", "allowed_origins")


def get_scope_choices() -> list[tuple[str, str]]:
    """Return every scope with its sentence."""
    return [(scope, f"{scope}: {sentence}") for scope, sentence in get_settings().scopes.items()]


class Checkboxes(forms.CheckboxSelectMultiple):
    """Boxes to tick, in a ``fieldset`` that has the id of the field."""

    @override
    def id_for_label(self, id_: str, index: str | None = None) -> str:
        """Return the id of a box, or that of all."""
        return super().id_for_label(id_, index) or id_


class Radios(forms.RadioSelect):
    """Buttons of which one is chosen, in a ``fieldset`` that has the id of the field."""

    @override
    def id_for_label(self, id_: str, index: str | None = None) -> str:
        """Return the id of a button, or that of all."""
        return super().id_for_label(id_, index) or id_


class LinesField(forms.CharField):
    """Several words, one per line; stored between spaces, as the toolkit reads them."""

    def __init__(self, *, label: str, help_text: str, rows: int = 3) -> None:
        """Take label, help and height."""
        widget = forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "autocomplete": "off"})
        super().__init__(label=label, help_text=help_text, required=False, widget=widget)

    @override
    def prepare_value(self, value: Any) -> Any:  # Any: as Django has it
        """Show what is stored one per line, and what was typed as it was typed."""
        return "\n".join(value) if isinstance(value, list) else value

    @override
    def has_changed(self, initial: Any, data: Any) -> bool:  # Any: as Django has it
        """Compare the words, not what stands between them."""
        return (initial if isinstance(initial, list) else str(initial or "").split()) != str(data or "").split()

    @override
    def clean(self, value: Any) -> str:  # Any: as Django has it
        """Return the words with one space between them."""
        return " ".join(super().clean(value).split())


class ResourcesField(LinesField):
    """Several words, one per line; stored as a list."""

    @override
    def clean(self, value: Any) -> Any:  # Any: as Django has it
        """Return the words."""
        return super().clean(value).split()


class ClientForm(ClientModelForm):
    """What a person to whom a client belongs decides about it; id and secret are made for it."""

    #: How a client may get tokens. Passwords of people are nobody's but an administrator's decision.
    offered: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (value, label) for value, label in GrantType.choices if value != GrantType.PASSWORD
    )

    grant_types = forms.MultipleChoiceField(
        label="Ways to get tokens", choices=offered, widget=Checkboxes, required=False
    )
    redirect_uris = LinesField(
        label="Redirect addresses",
        help_text="Where people are sent back to, one per line, compared character by character. https, or http on "
        "127.0.0.1, [::1] and localhost; the port of an address in digits may differ.",
    )
    post_logout_redirect_uris = LinesField(
        label="Addresses after sign-out", help_text="Where people may be sent once they have signed out, one per line."
    )
    allowed_origins = LinesField(
        label="Origins of scripts",
        help_text="Where scripts in a browser may ask from, one per line, such as https://app.example.",
    )
    allowed_scopes = forms.MultipleChoiceField(
        label="Allowed scopes", choices=get_scope_choices, widget=Checkboxes, required=False
    )

    class Meta:
        model = Application
        fields: tuple[str, ...] = (
            "name",
            "homepage_url",
            "policy_uri",
            "tos_uri",
            "client_type",
            "grant_types",
            "redirect_uris",
            "post_logout_redirect_uris",
            "allowed_origins",
            "allowed_scopes",
            "access_token_format",
            "algorithm",
        )
        labels: ClassVar[dict[str, str]] = {"homepage_url": "Home page"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django has it
        """Show the addresses of a client that is there one per line; its type stays what it is."""
        super().__init__(*args, **kwargs)
        for name in _ADDRESSES:
            if name in self.initial:
                self.initial[name] = str(self.initial[name]).split()
        if not self.instance._state.adding:  # noqa: SLF001 - Django's documented name of it
            self.fields.pop("client_type", None)

    def clean_grant_types(self) -> list[str]:
        """Keep what an administrator has allowed and this form doesn't offer."""
        offered = {value for value, _ in self.fields["grant_types"].choices}  # type: ignore[attr-defined]  # of that field
        return [*self.cleaned_data["grant_types"], *(one for one in self.instance.grant_types if one not in offered)]

    @override
    def add_error(self, field: str | None, error: Any) -> None:  # Any: as Django has it
        """Show above all what the model says of a column that this form doesn't have."""
        for name, errors in getattr(error, "error_dict", {field: error}).items():
            super().add_error(name if name in self.fields else None, errors)


class OwnClientForm(ClientForm, PageForm):
    """The same on a page of its owner's own, of whose clients each has a name of its own."""

    def clean_name(self) -> str:
        """Refuse the name of another client of the same owner."""
        name = str(self.cleaned_data["name"])
        others = Application.objects.filter(user=self.instance.user_id, name=name)
        if others.exclude(pk=self.instance.pk).exists():
            message = "You have a client of this name. Choose another one."
            raise forms.ValidationError(message)
        return name


class ClientAdminForm(ClientForm):
    """What an administrator decides about a client, besides."""

    grant_types = forms.MultipleChoiceField(
        label="Grant types", choices=GrantType.choices, widget=Checkboxes, required=False
    )
    allowed_resources = ResourcesField(
        label="Audiences",
        help_text="Absolute addresses of other services that its tokens may be for (RFC 8707), one per line. It may "
        "also ask what tokens for them are worth.",
    )

    class Meta(ClientForm.Meta):
        fields = (*ClientForm.Meta.fields, "allowed_resources", "user", "skip_authorization", "is_active")


class SecretForm(PageForm):
    """How a client gets another secret."""

    overlap = forms.TypedChoiceField(
        label="Secrets that it has",
        choices=OVERLAPS,
        coerce=lambda value: timedelta(seconds=int(value)),
        initial=OVERLAPS[2][0],
        widget=Radios,
        empty_value=None,
    )


#: The choice of no end.
NEVER: Final = "never"


def get_personal_scope_choices() -> list[tuple[str, str]]:
    """Return the sentence of every scope that a personal access token can have, the powerful ones first."""
    return [
        (line.scope, f"{line.sentence} (powerful)" if line.is_dangerous else line.sentence)
        for line in describe_scopes(list_personal_scopes())
    ]


class PersonalTokenForm(PageForm):
    """What a personal access token is to be."""

    name = forms.CharField(
        label="Name",
        max_length=MAX_NAME_CHARACTERS,
        help_text="For you, to know later what it is for, such as “Backup of the office”.",
        error_messages={"required": "Give it a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    days = forms.ChoiceField(
        label="Works for",
        choices=[*((str(days), f"{days} days") for days in PERSONAL_TOKEN_DAYS), (NEVER, "As long as it is there")],
        initial=str(DEFAULT_PERSONAL_TOKEN_DAYS),
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=get_personal_scope_choices,
        widget=Checkboxes,
        help_text="It can only do what you may do yourself.",
        error_messages={"required": "Choose at least one."},
    )


class UserCodeForm(PageForm):
    """The code that a device shows."""

    user_code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Eight letters. Small or capital, with or without the hyphen.",
        error_messages={"required": "Enter the code that your device shows."},
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "autofocus": True}
        ),
    )

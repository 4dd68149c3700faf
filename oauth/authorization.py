"""Authorization requests and responses, as far as oauthlib knows nothing of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors
from oauthlib.openid.connect.core.exceptions import LoginRequired

from oauth.claims import parse_claims
from oauth.descriptions import describe_error
from oauth.models import Application
from oauth.prompts import Interaction, Prompt, combine_subjects, is_acr_possible, parse_max_age, parse_prompts
from oauth.scopes import OPENID, ClientScopes
from oauth.tokens import HintNotVerifiable, read_id_token_hint
from oauth.validators import FORM_POST, choose_audiences, get_client

_MAX_NONCE_CHARACTERS: Final = 255  # what a code keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What a client is told at its redirect URI, whether a code or an error.

    Attributes:
        redirect_uri: Verified.
        is_form_post: Whether the browser posts it as a form, rather than in the address.
        parameters: By name; ``iss`` among them (RFC 9207 §2).
    """

    redirect_uri: str
    is_form_post: bool
    parameters: Mapping[str, str]

    @classmethod
    def from_error(cls, error: errors.OAuth2Error, redirect_uri: str) -> "AuthorizationResponse":
        """Return what tells a client of an error."""
        told = {name: value or "" for name, value in error.twotuples}
        if description := describe_error(told["error"], told.get("error_description")):
            told["error_description"] = description
        return cls.make(redirect_uri, error.response_mode, told)

    @classmethod
    def make(cls, redirect_uri: str, response_mode: str | None, told: Mapping[str, str]) -> "AuthorizationResponse":
        """Return what tells a client something, with the name of the server that does."""
        is_form_post = response_mode == FORM_POST
        return cls(redirect_uri=redirect_uri, is_form_post=is_form_post, parameters={**told, "iss": settings.BASE_URL})

    @property
    def address(self) -> str:
        """Return the redirect URI with the parameters in its query."""
        return add_to_query(self.redirect_uri, self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid authorization request, and what follows from it.

    Attributes:
        parameters: As the client sent them; ``resource`` as ``read_query`` has it.
        application: Who asks.
        scopes: What for; the default ones where it names none.
        resource: At which audiences (RFC 8707); empty means this house.
        redirect_uri: Where the answer goes.
        interaction: What the person must be shown.
    """

    parameters: Mapping[str, str]
    application: Application
    scopes: list[str]
    resource: tuple[str, ...]
    redirect_uri: str
    interaction: Interaction

    @property
    def query(self) -> str:
        """Return the parameters as they stand in an address, with the scopes spelled out."""
        return write_query({**self.parameters, "scope": " ".join(self.scopes)})

    def refuse(self, error: errors.OAuth2Error) -> errors.OAuth2Error:
        """Return an error as the client is told it that sent this request."""
        error.redirect_uri, error.state = self.redirect_uri, self.parameters.get("state")
        error.response_mode = self.parameters.get("response_mode")
        error.client_id = self.application.client_id
        return error

    def answer(self, location: str) -> AuthorizationResponse:
        """Return the response that oauthlib made, from the address that it put it into."""
        own = len(parse_qsl(urlsplit(self.redirect_uri).query, keep_blank_values=True))
        told = parse_qsl(urlsplit(location).query, keep_blank_values=True)[own:]
        return AuthorizationResponse.make(self.redirect_uri, self.parameters.get("response_mode"), dict(told))


def add_to_query(uri: str, parameters: Mapping[str, str]) -> str:
    """Return an address of a client with more in its query, which stays as it is byte for byte (RFC 6749 §3.1.2)."""
    joint = "?" if "?" not in uri else "" if uri.endswith(("?", "&")) else "&"
    return f"{uri}{joint}{urlencode(parameters)}"


def write_query(parameters: Mapping[str, str]) -> str:
    """Return parameters, as ``read_form`` and ``read_query`` have them, as a query."""
    several = {name: value.split() if name == "resource" else [value] for name, value in parameters.items()}
    return urlencode(several, doseq=True)


def read_interaction(request: Request) -> dict[str, object]:
    """Read what OpenID Connect and RFC 8707 add to an authorization request, under the names of ours.

    Who asks for a claim asks for the scope that gives it, as far as the client may (OpenID Connect Core §5.5).

    Raises:
        OAuth2Error: Something of it can't be read, or can't be had here.
    """
    application = get_client(request)
    try:
        claims = parse_claims(request.claims or "")
        interaction = Interaction(
            prompts=parse_prompts(request.prompt or ""),
            max_age=parse_max_age(request.max_age or ""),
            subjects=combine_subjects(_read_hint(request, application), claims),
            login_hint=request.login_hint or "",
        )
    except ValueError as error:
        raise errors.InvalidRequestError(str(error), request=request) from error
    if len(request.nonce or "") > _MAX_NONCE_CHARACTERS:
        message = f"The nonce is longer than {_MAX_NONCE_CHARACTERS} characters."
        raise errors.InvalidRequestError(message, request=request)
    if not is_acr_possible(claims):
        message = "No sign-in here is of that kind."
        raise errors.CustomOAuth2Error("unmet_authentication_requirements", message, request=request)
    scopes = request.scopes or []
    if OPENID in scopes:
        available = ClientScopes().get_available_scopes(application)
        request.scopes = scopes + [one for one in available if one in claims.scopes and one not in scopes]
    resource = choose_audiences(request, granted=None) if request.resource else ()
    return {"interaction": interaction, "resource": resource}


def _read_hint(request: Request, client: Application) -> str | None:
    """Return whom an ``id_token_hint`` names; nobody where it can't be verified any more, and the person can be asked.

    Raises:
        ValueError: It isn't an ID token of ours for that client.
        LoginRequired: It can't be verified any more, and nobody may be asked.
    """
    if not request.id_token_hint:
        return None
    try:
        hint = read_id_token_hint(request.id_token_hint)
    except HintNotVerifiable as error:
        if Prompt.NONE in parse_prompts(request.prompt or ""):
            raise LoginRequired("The id_token_hint cannot be verified any more.", request=request) from error
        return None
    if hint is None or hint.client_id != client.client_id:
        message = "The id_token_hint is no ID token of this server for this client."
        raise ValueError(message)
    return hint.subject

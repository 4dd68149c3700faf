"""Make an OAuth client."""

import json as jsonlib
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any, Final, override

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from oauth.conf import get_settings
from oauth.exceptions import InvalidClientMetadata
from oauth.models import Application, GrantType
from oauth.services import RegisteredClient, save_new_client

#: What people may type for a grant type, besides its own name.
_SHORT: Final = {"device_code": GrantType.DEVICE_CODE.value}
_GRANTS: Final = [*GrantType.values, *_SHORT]
#: Which option says what a column holds.
_OPTIONS: Final = {
    "name": "NAME",
    "client_id": "--client-id",
    "client_type": "--type",
    "grant_types": "--grant",
    "redirect_uris": "--redirect-uri",
    "post_logout_redirect_uris": "--post-logout-redirect-uri",
    "allowed_scopes": "--scope",
    "allowed_resources": "--resource",
    "allowed_origins": "--origin",
    "homepage_url": "--homepage",
}
_EPILOG: Final = """examples:
  a website:           create_client "Shop" --redirect-uri https://shop.example/callback --scope openid --scope profile
  an app or a script:  create_client "Shop app" --type public --redirect-uri http://127.0.0.1/callback --scope profile
  a service:           create_client "Nightly report" --grant client_credentials --scope users:read
  a television:        create_client "Player" --type public --grant device_code --grant refresh_token --scope profile

exit codes: 0 the client is there; 1 it can't be made like this, and nothing was stored; 2 an option is wrong."""


class Command(BaseCommand):
    """Make a client and print its secret, this once."""

    help = "Make an OAuth client. Its secret, if it has one, is printed this once: it is stored hashed."

    @override
    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:  # Any: Django's own parser
        """Leave the lines of the examples as they are."""
        parser = super().create_parser(prog_name, subcommand, epilog=_EPILOG, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="What people see when they are asked.")
        parser.add_argument(
            "--type",
            choices=["confidential", "public"],
            default="confidential",
            help="confidential, if it can keep a secret: a program on a server; otherwise public. Without it "
            "confidential.",
        )
        parser.add_argument(
            "--grant",
            action="append",
            choices=_GRANTS,
            metavar="GRANT",
            help=f"How it gets tokens, again for each way: {', '.join(_GRANTS)}. Without it authorization_code and "
            "refresh_token.",
        )
        self._add_list(parser, "--redirect-uri", "URI", "Address that people are sent back to")
        self._add_list(parser, "--post-logout-redirect-uri", "URI", "Address that people may be sent to after sign-out")
        self._add_list(parser, "--origin", "ORIGIN", "Where scripts in a browser ask from, such as https://app.example")
        self._add_list(parser, "--scope", "SCOPE", "What it may ask for")
        self._add_list(parser, "--resource", "URI", "Audience besides this house (RFC 8707)")
        parser.add_argument("--owner", metavar="EMAIL", help="User to whom it belongs.")
        parser.add_argument("--client-id", metavar="ID", help="Chosen id; without it a random one.")
        parser.add_argument("--homepage", default="", metavar="URL", help="Shown when people are asked.")
        parser.add_argument(
            "--opaque", action="store_true", help="Give it opaque access tokens instead of signed ones."
        )
        parser.add_argument(
            "--if-missing",
            action="store_true",
            help="Do nothing where there is a client of that id, or without --client-id of that name and owner.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def _add_list(self, parser: ArgumentParser, option: str, metavar: str, text: str) -> None:
        parser.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{text}; again for each one there is."
        )

    @override
    def handle(self, **options: Any) -> None:  # Any: what argparse read
        client = _find(options) if options["if_missing"] else None
        is_new = client is None
        registered = _make(options) if client is None else RegisteredClient(client, None)
        if options["json"]:
            self.stdout.write(jsonlib.dumps(_describe(registered, is_new=is_new), indent=2))
        else:
            self.stdout.write(_to_text(registered, is_new=is_new))


def _find(options: dict[str, Any]) -> Application | None:  # Any: as above
    if options["client_id"]:
        return Application.objects.filter(client_id=options["client_id"]).first()
    # Anybody who may have clients can give theirs the same name.
    own = Application.objects.filter(user=_get_owner(options["owner"]), name=options["name"])
    return own.order_by("pk").first()


def _make(options: dict[str, Any]) -> RegisteredClient:  # Any: as above
    grants = options["grant"] or [GrantType.AUTHORIZATION_CODE.value, GrantType.REFRESH_TOKEN.value]
    application = Application(
        name=options["name"],
        client_type=options["type"],
        grant_types=list(dict.fromkeys(_SHORT.get(grant, grant) for grant in grants)),
        redirect_uris=" ".join(options["redirect_uri"]),
        post_logout_redirect_uris=" ".join(options["post_logout_redirect_uri"]),
        allowed_origins=" ".join(options["origin"]),
        allowed_scopes=options["scope"],
        allowed_resources=options["resource"],
        homepage_url=options["homepage"],
        user=_get_owner(options["owner"]),
    )
    if options["opaque"]:
        application.access_token_format = Application.AccessTokenFormat.OPAQUE
    if options["client_id"]:
        application.client_id = options["client_id"]
    try:
        return save_new_client(application=application)
    except InvalidClientMetadata as error:
        raise CommandError(_explain(error)) from error


def _get_owner(email: str | None) -> Any:  # Any: a user, if any
    if email is None:
        return None
    owner = get_user_model().objects.filter(email=email.lower(), is_active=True).first()
    if owner is None:
        message = f"--owner: there is no active user {email}. Nothing was stored."
        raise CommandError(message)
    return owner


def _explain(error: InvalidClientMetadata) -> str:
    lines = [f"{_OPTIONS.get(field, field)}: {text}" for field, texts in error.fields.items() for text in texts]
    if "allowed_scopes" in error.fields:
        lines.append(f"Scopes are {', '.join(get_settings().scopes)}.")
    return "\n".join(["The client can't be made like this; nothing was stored.", *lines])


def _describe(client: RegisteredClient, *, is_new: bool) -> dict[str, object]:
    application = client.application
    return {
        "created": is_new,
        "name": application.name,
        "client_id": application.client_id,
        "client_secret": client.client_secret,
        "client_type": application.client_type,
        "grant_types": application.grant_types,
        "redirect_uris": application.redirect_uris.split(),
        "scopes": application.allowed_scopes,
        "resources": application.allowed_resources,
    }


def _to_text(client: RegisteredClient, *, is_new: bool) -> str:
    application = client.application
    if not is_new:
        renew = f"manage.py rotate_client_secret {application.client_id}"
        kept = f" Its secret can't be had again; for another one: {renew}" if _has_secrets(application) else ""
        return f"{application.name} is there already.{kept}\nclient_id: {application.client_id}"
    lines = [f"client_id: {application.client_id}"]
    if client.client_secret:
        lines += [f"client_secret: {client.client_secret}", "Keep the secret now: it is shown this once."]
    return "\n".join([*lines, _say_next(application)])


def _say_next(application: Application) -> str:
    if application.allows_grant_type(GrantType.AUTHORIZATION_CODE):
        return "Next: let the program send people to /oauth/authorize, with PKCE (S256); the code goes to /oauth/token."
    if application.allows_grant_type(GrantType.DEVICE_CODE):
        return "Next: let the device ask /oauth/device-authorization for a code, and show it."
    return "Next: let the program ask /oauth/token for a token, with its secret."


def _has_secrets(application: Application) -> bool:
    return application.client_type == Application.CLIENT_CONFIDENTIAL

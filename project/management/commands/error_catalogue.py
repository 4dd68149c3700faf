"""Write ``docs/errors.md`` from the classes of errors."""

from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import override

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from project.exceptions import DomainError

_APPS = ("accounts", "oauth", "permissions", "jobs")
_HEAD = """\
# Errors

What the API answers, as `application/problem+json` (RFC 9457): branch on `code`, show `detail` to people, look at
`errors` for the fields, and quote `request_id` when you ask for help. Written by `manage.py error_catalogue` from the
classes themselves. Beside these, every endpoint may answer with the codes of the framework: `not_authenticated`,
`permission_denied`, `not_found`, `method_not_allowed`, `parse_error`, `unsupported_media_type`, `throttled`, and
`invalid` with one entry in `errors` per field. The endpoints under `/oauth/` answer as RFC 6749 §5.2 says instead.

| App | Code | Status | What it means |
|---|---|---|---|
"""


class Command(BaseCommand):
    """Write docs/errors.md from the classes of errors, or check that it is what they say."""

    help = "Write docs/errors.md from the classes of errors, or check that it is what they say."
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; exit with 1 where the file differs.")

    @override
    def handle(self, *args: object, check: bool, **options: object) -> None:
        path = Path(settings.BASE_DIR) / "docs" / "errors.md"
        text = render()
        if not check:
            path.write_text(text)
            self.stdout.write("Wrote docs/errors.md.")
        elif not path.is_file() or path.read_text() != text:
            message = "docs/errors.md is not what the classes say; run: manage.py error_catalogue"
            raise CommandError(message)


def render() -> str:
    """Return the text of ``docs/errors.md``."""
    for app in _APPS:
        if find_spec(f"{app}.exceptions"):
            import_module(f"{app}.exceptions")
    rows = sorted(
        (error.__module__.partition(".")[0], error.code, int(error.status), " ".join((error.__doc__ or "").split()))
        for error in _subclasses(DomainError)
        if error.__module__.partition(".")[0] in _APPS and "code" in vars(error)
    )
    return _HEAD + "".join(f"| {app} | `{code}` | {status} | {text} |\n" for app, code, status, text in rows)


def _subclasses(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)

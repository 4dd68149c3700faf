"""Mail of a development installation: files in ``var/mail``, shown at ``/dev/mail``.

An address can be listed as refused: mail for it fails as a mail server's permanent refusal does, so that one can watch
a job fail and retry it.
"""

import os
import re
import smtplib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage as ParsedMessage
from pathlib import Path
from secrets import token_hex
from typing import override

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend

_REFUSED_FILE = "refused.txt"
_UNREADABLE = "(This message cannot be shown as text.)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message that was sent."""

    to: str
    subject: str
    #: When it was sent; None where the message doesn't say.
    date: datetime | None
    body: str


class FileEmailBackend(EmailBackend):
    """Django's file backend with one whole file per message, and addresses that refuse mail."""

    @override
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write each message into a file of its own and return how many were written.

        Raises:
            smtplib.SMTPRecipientsRefused: Every recipient of a message is listed as refused (SMTP code 550).
        """
        sent = 0
        for message in email_messages:
            if not message.recipients():
                continue
            try:
                self._raise_if_refused(message)
            except smtplib.SMTPRecipientsRefused:
                if self.fail_silently:
                    continue
                raise
            # In the order of sending, as file names sort.
            name = f"{time.time_ns():020d}-{token_hex(4)}.eml"
            _write_whole(Path(self.file_path) / name, message.message().as_bytes())
            sent += 1
        return sent

    def _raise_if_refused(self, message: EmailMessage) -> None:
        refused = read_refused(Path(self.file_path))
        recipients = message.recipients()
        if all(_bare_address(recipient) in refused for recipient in recipients):
            answer = (550, b"5.1.1 Mail for this address is refused, as asked for at /dev/mail")
            raise smtplib.SMTPRecipientsRefused(dict.fromkeys(recipients, answer))


def get_folder() -> Path | None:
    """Return the folder of the mail files, or None where mail leaves the machine."""
    mailer = settings.MAILERS.get("default", {})
    if mailer.get("BACKEND") != f"{FileEmailBackend.__module__}.{FileEmailBackend.__qualname__}":
        return None
    return Path(mailer["OPTIONS"]["file_path"])


def read_mails(folder: Path, *, to: str = "", limit: int = 100) -> list[Mail]:
    """Return the newest messages first, all of them or those to one address."""
    found: list[Mail] = []
    for path in sorted(folder.glob("*.eml"), reverse=True):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        if not to or _bare_address(to) in _recipients(message):
            found.append(_to_mail(message))
        if len(found) == limit:
            break
    return found


def read_refused(folder: Path) -> list[str]:
    """Return the addresses that refuse mail, sorted."""
    try:
        lines = (folder / _REFUSED_FILE).read_text().splitlines()
    except FileNotFoundError:
        return []
    return sorted({line.strip().lower() for line in lines if line.strip()})


def refuse_address(folder: Path, *, address: str) -> None:
    """Let mail for an address fail from now on."""
    _write_refused(folder, {*read_refused(folder), _bare_address(address)})


def accept_address(folder: Path, *, address: str) -> None:
    """Let mail for an address arrive again."""
    _write_refused(folder, set(read_refused(folder)) - {_bare_address(address)})


def _write_refused(folder: Path, addresses: set[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / _REFUSED_FILE, "".join(f"{address}\n" for address in sorted(addresses)).encode())


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that a reader sees whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def _to_mail(message: ParsedMessage) -> Mail:
    date = message["Date"]
    body = message.get_body(("plain", "html"))
    text = body.get_content() if body else _UNREADABLE
    return Mail(
        to=str(message["To"] or ""),
        subject=str(message["Subject"] or ""),
        date=date.datetime if date else None,
        body=str(text).strip(),
    )


def _recipients(message: ParsedMessage) -> Iterator[str]:
    for header in ("To", "Cc"):
        if message[header]:
            yield from (address.addr_spec.lower() for address in message[header].addresses)


def _bare_address(recipient: str) -> str:
    """Return ``ada@example.com`` of ``Ada <ada@example.com>``, in lower case."""
    in_brackets = re.search(r"<([^<>]*)>\s*$", recipient)
    return (in_brackets[1] if in_brackets else recipient).strip().lower()

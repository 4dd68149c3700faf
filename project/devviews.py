"""Pages of a development installation only: the mail that was sent."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from project.devmail import Mail, accept_address, get_folder, read_mails, read_refused, refuse_address


class RefusalForm(forms.Form):
    """Whose mail is to fail, or to arrive again."""

    address = forms.EmailField(label="E-mail address", max_length=254)
    action = forms.ChoiceField(choices=[("refuse", "Refuse"), ("accept", "Accept")])


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """Show the mail that was sent, newest first; ``?to=`` narrows it. A POST refuses or accepts mail for an address."""
    folder = get_folder()
    form = RefusalForm(request.POST or None)
    if request.method == "POST" and folder and form.is_valid():
        change = refuse_address if form.cleaned_data["action"] == "refuse" else accept_address
        change(folder, address=form.cleaned_data["address"])
        return redirect("dev:mail")
    status = HTTPStatus.BAD_REQUEST if request.method == "POST" else HTTPStatus.OK
    to = request.GET.get("to", "").strip()
    mails = read_mails(folder, to=to) if folder else []
    refused = read_refused(folder) if folder else []
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse({"messages": [_to_json(mail) for mail in mails], "refused": refused}, status=status)
    messages = [{"mail": mail, "body": _link_own_addresses(mail.body)} for mail in mails]
    context = {"messages_sent": messages, "refused": refused, "form": form, "to": to, "folder": _shown(folder)}
    return render(request, "project/dev_mail.html", context, status=status)


def _shown(folder: Path | None) -> str:
    return str(folder) if folder else ""


def _to_json(mail: Mail) -> dict[str, str | None]:
    return {
        "to": mail.to,
        "subject": mail.subject,
        "date": mail.date.isoformat() if mail.date else None,
        "body": mail.body,
    }


def _link_own_addresses(text: str) -> SafeString:
    """Return the text as HTML in which addresses of this very installation, and no others, are links."""
    return format_html_join("", "{}", _parts(text))


def _parts(text: str) -> Iterator[tuple[str | SafeString]]:
    own_address = re.compile(rf"({re.escape(settings.BASE_URL)}/[^\s<>\"']*[^\s<>\"'.,;:!?)])")
    for index, part in enumerate(own_address.split(text)):
        # Between two parts of plain text stands what the pattern matched.
        yield (format_html_join("", '<a href="{}">{}</a>', [(part, part)]) if index % 2 else part,)


urlpatterns = [path("mail", mail, name="mail")]

"""The audit log in the admin: to search and to read."""

import json
from typing import TYPE_CHECKING, ClassVar, override

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from permissions import audit
from permissions.models import AuditEvent

if TYPE_CHECKING:
    EventModelAdmin = admin.ModelAdmin[AuditEvent]
else:  # generic in the stubs only
    EventModelAdmin = admin.ModelAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(EventModelAdmin):
    """What happened. Nobody adds, changes or deletes an event, whatever rights they have."""

    list_display = ["created_at", "event", "actor_label", "subject_label", "client_id", "ip_address", "is_sealed"]
    list_display_links = ["created_at", "event"]
    list_filter = ["created_at", "event", ("position", admin.EmptyFieldListFilter)]
    #: Not used as they are: ``audit.search_events`` looks further.
    search_fields = ["event"]
    search_help_text = "A part of the event's name, of who, to whom, of the address or the details; or a whole id"
    show_full_result_count = False
    ordering = ["-id"]
    fieldsets: ClassVar = (
        (None, {"fields": ("created_at", "event")}),
        ("Who", {"fields": ("actor_label", "actor_id", "client_id", "ip_address", "request_id")}),
        ("To whom", {"fields": ("subject_label", "subject_type", "subject_id")}),
        ("What else", {"fields": ("details",)}),
        ("Place in the chain", {"fields": ("position", "previous_hash", "hash")}),
    )
    readonly_fields = ["details"]

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """Search as the API does."""
        return audit.search_events(queryset, search_term), False

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        """Never."""
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        """Never."""
        return False

    @admin.display(description="details")
    def details(self, event: AuditEvent) -> str:
        """Return the details, one to a line."""
        text = json.dumps(event.data, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html('<pre tabindex="0">{}</pre>', text) if event.data else "-"

    @admin.display(description="sealed", boolean=True)
    def is_sealed(self, event: AuditEvent) -> bool:
        """Say whether the event is in the chain."""
        return event.position is not None

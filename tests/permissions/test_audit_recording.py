"""Writing an event."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.db import transaction
from django.db.models import Q
from django.test import Client, RequestFactory
from django.utils.functional import SimpleLazyObject
from django.utils.timezone import now as timezone_now
from django.utils.translation import gettext_lazy
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.drf import ClientPrincipal
from accounts.models import User
from permissions import audit, services
from permissions.audit.details import MAX_DETAIL_BYTES
from permissions.models import AuditEvent, Role
from permissions.models import Permission as OurPermission
from permissions.signals import RoleAttached, role_attached
from project.current_request import bind_request

pytestmark = pytest.mark.django_db


class Colour(Enum):
    RED = "red"


def recorded() -> AuditEvent:
    """Return the one event there is."""
    return AuditEvent.objects.get()


def recorded_data(**data: object) -> dict[str, object]:
    """Record details and return how they are stored."""
    audit.record("thing.happened", client=None, **data)
    stored: dict[str, object] = recorded().data
    return stored


def test_an_event_says_what_who_to_whom_through_what_and_what_else(user: User, superuser: User) -> None:
    audit.record("role.attached", actor=superuser, subject=user, client="some-client", roles=["editor"])
    event = recorded()
    assert (event.event, event.client_id, event.data) == ("role.attached", "some-client", {"roles": ["editor"]})
    assert (event.actor_id, event.actor_label) == (str(superuser.pk), "root@example.com")
    assert (event.subject_type, event.subject_id) == ("accounts.user", str(user.pk))
    assert event.subject_label == "user@example.com"


def test_writing_costs_one_insert(user: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1) as captured:
        audit.record("role.attached", actor=user, subject=user, roles=["editor"])
    assert captured.captured_queries[0]["sql"].startswith("INSERT")


def test_time_is_utc_to_the_millisecond() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    audit.record("thing.happened")
    created_at = recorded().created_at
    assert before <= created_at <= datetime.now(UTC)
    assert created_at.utcoffset() == timedelta(0)
    assert created_at.microsecond % 1000 == 0


def test_a_change_that_is_rolled_back_leaves_no_event() -> None:
    with transaction.atomic():
        audit.record("thing.happened")
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


def test_a_row_that_is_not_at_hand_is_referred_to(user: User) -> None:
    audit.record("role.detached", actor=audit.Reference.to(User, user.pk), subject=audit.Reference("x.y", 5, "Five"))
    event = recorded()
    assert (event.actor_id, event.actor_label) == (str(user.pk), "")
    assert (event.subject_type, event.subject_id, event.subject_label) == ("x.y", "5", "Five")


def test_a_proxy_is_recorded_as_the_model_behind_it() -> None:
    assert audit.Reference.to(OurPermission, 1).model == "auth.permission"


def test_a_lazy_user_is_recorded_as_what_it_is(user: User) -> None:
    audit.record("thing.happened", actor=SimpleLazyObject(lambda: user), subject=SimpleLazyObject(lambda: user))
    assert (recorded().actor_id, recorded().subject_type) == (str(user.pk), "accounts.user")


def test_a_stranger_is_nobody() -> None:
    audit.record("thing.happened", actor=AnonymousUser())
    assert (recorded().actor_id, recorded().actor_label) == ("", "")


def test_a_client_that_acts_for_itself_is_recorded_as_the_client() -> None:
    audit.record("thing.happened", actor=ClientPrincipal("some-client"))
    assert (recorded().actor_id, recorded().client_id) == ("", "some-client")


@pytest.mark.parametrize("event", ["", "role", "Role.attached", "role.", "role attached.x", "a." + "b" * 100, "a.b\n"])
def test_what_is_no_name_of_an_event_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match="no name of an event"):
        audit.record(event)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("thing", ["ada@example.com", 5, object()])
def test_what_is_neither_a_row_nor_a_reference_is_refused_as_actor_and_subject(thing: object) -> None:
    with pytest.raises(TypeError, match="neither a model object nor a Reference"):
        audit.record("thing.happened", actor=thing)
    with pytest.raises(TypeError, match="neither a model object nor a Reference"):
        audit.record("thing.happened", subject=thing)
    assert not AuditEvent.objects.exists()


# --- Details ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (None, None),
        (True, True),
        (-7, -7),
        (0.5, 0.5),
        (-0.0, 0.0),
        (1e300, "1e+300"),
        ("Zoë", "Zoë"),
        (gettext_lazy("name"), "name"),
        (Colour.RED, "red"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:00:00+00:00"),
        (("a", ["b"]), ["a", ["b"]]),
        ({"b", "a"}, ["a", "b"]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": {"b": UUID(int=2)}}, {"a": {"b": "00000000-0000-0000-0000-000000000002"}}),
        ("a\0b\ud800", "a\\x00b\\ud800"),
        ({"k\0": 1}, {"k\\x00": 1}),
    ],
)
def test_details_are_stored_as_json(given: object, stored: object) -> None:
    assert recorded_data(detail=given) == {"detail": stored}


def test_details_of_every_kind_verify_after_they_were_stored() -> None:
    audit.record("thing.happened", a=[0.1, -0.0, 1e300, 1e-7, 2**62, "Zoë\0\ud800", {"b": None}], c={"z": 1, "a": [[]]})
    assert audit.verify().fault is None


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        float("nan"),
        float("inf"),
        2**63,
        10**5000,
        datetime(2026, 1, 2),  # noqa: DTZ001 - that it is naive is the point
        (number for number in range(3)),
        {1: "a"},
        [{"deep": object()}],
        Permission(),
        Permission.objects.none(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_form_for_is_refused_before_anything_is_written(
    value: object, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0), pytest.raises(TypeError, match="detail"):
        audit.record("thing.happened", fine="text", detail=value)


def test_the_place_of_what_is_refused_is_named() -> None:
    with pytest.raises(TypeError, match=r"The detail roles\.1\.x is a object"):
        audit.record("thing.happened", roles=["a", {"x": object()}])


def test_details_that_hold_themselves_are_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested too deeply"):
        audit.record("thing.happened", detail=endless)


@pytest.mark.parametrize(
    "key",
    ["password", "new_password", "token", "refreshToken", "client_secret", "code", "code_verifier", "Authorization",
     "Set-Cookie", "api_key"],
)  # fmt: skip
def test_the_value_of_a_secret_key_is_never_stored(key: str) -> None:
    stored = recorded_data(**{key: "hunter2"}, nested=[{key: {"inner": "hunter2"}}])
    assert stored == {key: "[redacted]", "nested": [{key: "[redacted]"}]}


@pytest.mark.parametrize(
    "text",
    [
        "sent Bearer abc.DEF-123_~+/=",
        "sent eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "bearer 0123456789abcdef",
    ],
)
def test_a_token_is_never_stored_wherever_it_stands(text: str) -> None:
    audit.record("thing.happened", subject=audit.Reference("x", text, text), client=text, a=text, b=[{"c": text}])
    event = recorded()
    secret = text.rpartition(" ")[2]
    assert secret not in " ".join([event.subject_id, event.subject_label, event.client_id, str(event.data)])
    assert "[redacted]" in event.data["a"]


def test_details_up_to_the_limit_are_kept_whole() -> None:
    names = [f"permission number {number:04}" for number in range(2000)]
    assert recorded_data(permissions=names) == {"permissions": names}


@pytest.mark.parametrize(
    "huge",
    ["x" * 1_000_000, ["x" * 50] * 10_000, {str(n): "x" * 50 for n in range(10_000)}, [["x" * 90] * 900] * 900],
    ids=["text", "list", "mapping", "nested"],
)
def test_details_beyond_the_limit_are_cut_and_the_event_is_kept(huge: object) -> None:
    stored = recorded_data(huge=huge, small="kept")
    assert stored["small"] == "kept"
    assert len(str(stored)) <= MAX_DETAIL_BYTES


def test_a_list_that_was_cut_says_how_much_is_missing() -> None:
    stored = recorded_data(roles=["x" * 100] * 5000)
    assert stored["roles"] == [*["x" * 100] * 100, "… and 4900 more"]


def test_details_that_cannot_be_cut_are_dropped_with_a_note() -> None:
    assert recorded_data(**{f"number {number}": number for number in range(10_000)}).keys() == {"dropped"}


def test_texts_longer_than_their_columns_are_cut() -> None:
    audit.record("thing.happened", client="c" * 300, subject=audit.Reference("m" * 300, "i" * 300, "l" * 300))
    event = recorded()
    lengths = [len(text) for text in (event.client_id, event.subject_type, event.subject_id, event.subject_label)]
    assert lengths == [255, 100, 255, 254]


# --- The current request ---------------------------------------------------------------------------------------------


def test_outside_of_a_request_there_is_neither_address_nor_id() -> None:
    audit.record("thing.happened")
    assert (recorded().ip_address, recorded().request_id, recorded().actor_id) == ("", "", "")


def test_address_and_id_of_the_request_are_recorded(client: Client) -> None:
    headers = {"X-Request-ID": "abcdef-0123", "X-Forwarded-For": "198.51.100.7"}
    body = {"email": "nobody@example.com", "password": "wrong"}
    client.post("/api/v1/auth/login", body, "application/json", headers=headers, REMOTE_ADDR="203.0.113.5")
    assert (recorded().ip_address, recorded().request_id) == ("203.0.113.5", "abcdef-0123")


def test_behind_a_proxy_the_address_is_what_the_trusted_proxy_saw(client: Client, settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    body = {"email": "nobody@example.com", "password": "wrong"}
    headers = {"X-Forwarded-For": "6.6.6.6, 2001:DB8::7"}
    client.post("/api/v1/auth/login", body, "application/json", headers=headers)
    assert recorded().ip_address == "2001:db8::7"


def test_who_is_known_to_send_the_request_is_the_actor_where_none_is_named(rf: RequestFactory, user: User) -> None:
    request = rf.get("/")
    request.user = user
    with bind_request(request):
        audit.record("thing.happened")
    assert recorded().actor_id == str(user.pk)


def test_a_user_of_the_request_that_nobody_asked_for_is_not_looked_up(
    rf: RequestFactory, user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = rf.get("/")
    request.user = SimpleLazyObject(lambda: User.objects.get(pk=user.pk))  # type: ignore[assignment] # as Django does
    with bind_request(request), django_assert_num_queries(1):
        audit.record("thing.happened")
    assert recorded().actor_id == ""


def test_whoever_signs_in_at_the_pages_and_asks_is_the_actor(client: Client, superuser: User) -> None:
    client.force_login(superuser)
    AuditEvent.objects.all()._raw_delete("default")
    client.post("/admin/accounts/user/add/", {"email": "new@example.com", "name": ""})
    made = AuditEvent.objects.get(event="user.created")
    assert (made.actor_label, made.subject_label) == ("root@example.com", "new@example.com")


def test_the_client_of_the_request_s_token_is_recorded(rf: RequestFactory) -> None:
    request = rf.get("/")
    vars(request)["auth"] = ClientPrincipal("some-client")  # where DRF puts what the token says
    with bind_request(request):
        audit.record("thing.happened")
    assert recorded().client_id == "some-client"


# --- Append-only -----------------------------------------------------------------------------------------------------


@pytest.fixture
def event() -> Iterator[AuditEvent]:
    """A stored event that is the same afterwards."""
    audit.record("thing.happened")
    yield recorded()
    assert recorded().event == "thing.happened"


def test_a_stored_event_cannot_be_saved(event: AuditEvent) -> None:
    event.event = "other.thing"
    with pytest.raises(TypeError, match="append-only"):
        event.save()


def test_a_stored_event_cannot_be_deleted(event: AuditEvent) -> None:
    with pytest.raises(TypeError, match="append-only"):
        event.delete()


def test_events_cannot_be_updated_or_deleted_by_a_queryset(event: AuditEvent) -> None:
    with pytest.raises(TypeError, match="append-only"):
        AuditEvent.objects.filter(pk=event.pk).update(event="other.thing")
    with pytest.raises(TypeError, match="append-only"):
        AuditEvent.objects.filter(pk=event.pk).delete()
    with pytest.raises(TypeError, match="append-only"):
        AuditEvent.objects.bulk_update([event], ["event"])


def test_events_cannot_be_written_in_bulk_past_the_log(event: AuditEvent) -> None:
    with pytest.raises(TypeError, match="append-only"):
        AuditEvent.objects.bulk_create([event], update_conflicts=True, unique_fields=["id"], update_fields=["event"])


def test_no_permission_to_change_events_exists() -> None:
    names = Permission.objects.filter(content_type__model__startswith="audit").values_list("codename", flat=True)
    assert list(names) == ["view_auditevent"]


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_each_write_their_event() -> None:
    from tests.accounts.racing import race  # noqa: PLC0415

    assert race(lambda: audit.record("thing.happened", thread=threading.get_ident()), threads=8) == [None] * 8
    assert AuditEvent.objects.count() == 8


def test_who_got_or_lost_a_role_or_a_permission_is_named(user: User) -> None:
    role = Role.create("editor").give_permission_to("accounts.view_user").revoke_permission_to("accounts.view_user")
    user.assign_role(role).remove_role(role)
    user.give_permission_to("accounts.view_user").revoke_permission_to("accounts.view_user")
    events = AuditEvent.objects.filter(Q(event__endswith=".attached") | Q(event__endswith=".detached"))
    assert sorted(events.values_list("event", "subject_label")) == [
        ("permission.attached", "editor"),
        ("permission.attached", "user@example.com"),
        ("permission.detached", "editor"),
        ("permission.detached", "user@example.com"),
        ("role.attached", "user@example.com"),
        ("role.detached", "user@example.com"),
    ]


def _list(*events: str) -> list[tuple[str, str]]:
    return sorted(AuditEvent.objects.filter(event__in=events).values_list("event", "subject_label"))


@pytest.mark.parametrize(
    "delete",
    [
        lambda role: role.delete(),
        lambda role: role.group.delete(),
        lambda role: Role.objects.filter(pk=role.pk).delete(),
        lambda role: services.delete_role(role=role),
    ],
    ids=["role", "group", "roles", "service"],
)
def test_a_role_that_goes_is_recorded_with_all_who_lose_it(user: User, delete: Callable[[Role], object]) -> None:
    role = Role.create("editor")
    user.assign_role(role)
    User.objects.create(email="other@example.com").assign_role(role, expires_at=timezone_now() + timedelta(hours=1))
    delete(role)
    assert _list("role.deleted", "role.detached") == [
        ("role.deleted", "editor"),
        ("role.detached", "other@example.com"),
        ("role.detached", "user@example.com"),
    ]
    audit.seal()
    assert audit.verify().fault is None


def test_a_permission_that_goes_is_recorded_with_all_who_lose_it(user: User) -> None:
    permission = OurPermission.create("edit articles")
    role = Role.create("editor").give_permission_to(permission)
    user.give_permission_to(permission)
    Permission.objects.get(pk=permission.pk).delete()
    lost = AuditEvent.objects.filter(event="permission.detached").values_list("subject_id", flat=True)
    assert set(lost) == {str(role.pk), str(user.pk)}
    assert AuditEvent.objects.filter(event="permission.deleted", data__name="edit articles").count() == 1


def test_a_group_that_is_made_and_renamed_is_recorded_as_the_role_that_it_is() -> None:
    group = Group.objects.create(name="editor")
    group.name = "author"
    group.save()
    role = Role.objects.get()
    role.name = "chief"
    role.save()
    renamed = AuditEvent.objects.filter(event="role.renamed").order_by("pk").values_list("data", flat=True)
    assert [(data["was"], data["name"]) for data in renamed] == [("editor", "author"), ("author", "chief")]
    assert _list("role.created") == [("role.created", "editor")]
    Role.create("other")
    assert AuditEvent.objects.filter(event="role.created").count() == 2


def test_an_assignment_that_is_deleted_by_itself_is_recorded(user: User) -> None:
    user.assign_role(Role.create("editor"), expires_at=timezone_now() + timedelta(hours=1))
    user.role_assignments.all().delete()
    assert _list("role.detached") == [("role.detached", "")]
    assert not User.objects.get(pk=user.pk).has_role("editor")


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_fails_undoes_nothing(user: User, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_fact: RoleAttached) -> None:
        message = "the listener is broken"
        raise RuntimeError(message)

    role_attached.listen(fail)
    try:
        user.assign_role(Role.create("editor"))
    finally:
        role_attached.unlisten(fail)
    assert User.objects.get(pk=user.pk).has_role("editor")
    assert "the listener is broken" in caplog.text

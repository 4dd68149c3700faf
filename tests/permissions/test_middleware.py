"""Guard and team of a request."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from io import BytesIO
from types import FunctionType
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.urls import path
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from permissions import scope
from permissions.exceptions import Escalation, RoleAlreadyExists, TeamDoesNotExist, TeamsNotEnabled, UserDoesNotExist
from permissions.middleware import ScopeMiddleware
from permissions.models import Role
from permissions.scope import Scope
from project import urls
from project.exceptions import DomainError
from tests.articles.models import Note, Team
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db

handler400 = "project.views.bad_request"
handler403 = "project.views.permission_denied"
handler404 = "project.views.not_found"

type Configure = Callable[..., None]
#: Sends a request through the middleware to a view, and returns the answer.
type Ask = Callable[..., HttpResponseBase]


# Resolvers that a project might write


def resolve_nobody(request: HttpRequest) -> None:
    """The request is about no team."""


def resolve_guard(request: HttpRequest) -> str | None:
    return request.GET.get("guard")


async def aresolve_guard(request: HttpRequest) -> str | None:
    return request.GET.get("guard")


def resolve_row(request: HttpRequest) -> Team:
    return Team.objects.get(name=request.GET["team"])


async def aresolve_row(request: HttpRequest) -> Team:
    return await Team.objects.aget(name=request.GET["team"])


def resolve_key(request: HttpRequest) -> str:
    return request.GET["team"]


async def aresolve_key(request: HttpRequest) -> str:
    return request.GET["team"]


def resolve_unsaved(request: HttpRequest) -> Team:
    return Team(name="not stored")


def resolve_by_user(request: HttpRequest) -> Team | None:
    return Team.objects.filter(name=request.user.name).first() if isinstance(request.user, User) else None


def refuse(request: HttpRequest) -> None:
    raise Escalation("This team is not yours.")


async def arefuse(request: HttpRequest) -> None:
    raise Escalation("This team is not yours.")


def miss(request: HttpRequest) -> None:
    raise UserDoesNotExist


def collide(request: HttpRequest) -> None:
    raise RoleAlreadyExists


def fail(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


# Views


def tell(request: HttpRequest) -> HttpResponse:
    """Say what holds."""
    return JsonResponse({"guard": scope.get_guard(), "team": scope.get_team()})


async def atell(request: HttpRequest) -> HttpResponse:
    return tell(request)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[str]:
        for _ in range(3):
            yield f"{scope.get_team()} "

    return StreamingHttpResponse(chunks())


async def astream(request: HttpRequest) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield f"{scope.get_team()} "

    return StreamingHttpResponse(chunks())


def tell_rights(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    return JsonResponse({"may": request.user.can("accounts.view_user")})


async def atell_rights(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    assert isinstance(user, User)
    return JsonResponse({"may": await user.acan("accounts.view_user")})


urlpatterns = [
    path("tell", tell),
    path("atell", atell),
    path("stream", stream),
    path("astream", astream),
    path("rights", tell_rights),
    path("arights", atell_rights),
    *urls.urlpatterns,
]


@pytest.fixture
def configure(settings: Settings) -> Configure:
    """Return a function that changes keys of ``PERMISSIONS`` and leaves the others; functions are named by path."""

    def change(**values: object) -> None:
        named = {
            key: f"{__name__}.{value.__name__}" if isinstance(value, FunctionType) else value
            for key, value in values.items()
        }
        settings.PERMISSIONS = {**settings.PERMISSIONS, **named}

    return change


@pytest.fixture
def teams(configure: Configure) -> tuple[Team, Team]:
    """Two teams; the header says which one a request is about."""
    configure(TEAM_MODEL="articles.Team", TEAM_RESOLVER="permissions.middleware.team_from_header")
    return Team.objects.create(name="one"), Team.objects.create(name="two")


@pytest.fixture
def team(teams: tuple[Team, Team]) -> Team:
    return teams[0]


def ask_sync(view: Callable[[HttpRequest], HttpResponseBase], address: str = "/", **headers: str) -> HttpResponseBase:
    response = ScopeMiddleware(view)(RequestFactory().get(address, headers=headers))
    assert isinstance(response, HttpResponseBase)
    return response


def ask_async(view: Callable[[HttpRequest], HttpResponseBase], address: str = "/", **headers: str) -> HttpResponseBase:
    async def asynchronous(request: HttpRequest) -> HttpResponseBase:
        return view(request)

    async def run() -> HttpResponseBase:
        answer = ScopeMiddleware(asynchronous)(AsyncRequestFactory().get(address, headers=headers))
        assert not isinstance(answer, HttpResponseBase)
        try:
            return await answer
        finally:
            assert scope.current.get() == scope.NOWHERE

    return async_to_sync(run)()


sync_and_async = pytest.mark.parametrize("ask", [ask_sync, ask_async])


@pytest.fixture(autouse=True)
def nothing_is_left(db: None) -> Iterator[None]:
    """Whatever a test does, nothing holds behind its requests."""
    yield
    assert scope.current.get() == scope.NOWHERE


def read(response: HttpResponseBase) -> dict[str, Any]:  # Any: members of JSON
    assert isinstance(response, HttpResponse)
    found: dict[str, Any] = json.loads(response.content)  # Any: as above
    return found


# What holds


@sync_and_async
def test_the_default_guard_and_no_team_hold_in_a_request(ask: Ask) -> None:
    assert read(ask(tell)) == {"guard": "web", "team": None}


@sync_and_async
def test_the_default_guard_is_that_of_the_settings(ask: Ask, configure: Configure) -> None:
    configure(GUARDS=["web", "api"], DEFAULT_GUARD="api")
    assert read(ask(tell)) == {"guard": "api", "team": None}


def test_what_held_outside_of_a_request_does_not_hold_inside_and_is_back_behind_it(team: Team) -> None:
    with scope.use_team(team):
        assert read(ask_sync(tell)) == {"guard": "web", "team": None}
        assert scope.current.get() == Scope(None, str(team.pk))


@sync_and_async
def test_what_a_view_changes_is_gone_behind_it(ask: Ask, team: Team) -> None:
    def change(request: HttpRequest) -> HttpResponse:
        scope.set_team(team)
        scope.set_guard(None)
        return tell(request)

    assert read(ask(change)) == {"guard": None, "team": str(team.pk)}
    assert scope.current.get() == scope.NOWHERE


@sync_and_async
def test_an_error_in_a_view_takes_the_scope_back(ask: Ask, team: Team) -> None:
    with pytest.raises(ZeroDivisionError):
        ask(fail, **{"X-Team": str(team.pk)})
    assert scope.current.get() == scope.NOWHERE


@sync_and_async
def test_an_error_in_a_resolver_takes_the_scope_back(ask: Ask, teams: tuple[Team, Team], configure: Configure) -> None:
    configure(TEAM_RESOLVER=fail)
    with pytest.raises(ZeroDivisionError):
        ask(tell)
    assert scope.current.get() == scope.NOWHERE


# The team of a request


@sync_and_async
def test_the_header_names_the_team(ask: Ask, teams: tuple[Team, Team]) -> None:
    for team in teams:
        assert read(ask(tell, **{"X-Team": str(team.pk)})) == {"guard": "web", "team": str(team.pk)}


@sync_and_async
@pytest.mark.parametrize("headers", [{}, {"X-Team": ""}, {"X-Team": "  "}])
def test_a_header_that_is_missing_or_empty_names_no_team(
    ask: Ask, headers: Mapping[str, str], teams: tuple[Team, Team]
) -> None:
    assert read(ask(tell, **headers))["team"] is None


@sync_and_async
def test_spaces_around_the_key_of_a_team_do_not_matter(ask: Ask, team: Team) -> None:
    assert read(ask(tell, **{"X-Team": f" {team.pk} "}))["team"] == str(team.pk)


@sync_and_async
def test_the_key_of_a_team_may_be_a_uuid_however_it_is_spelt(ask: Ask, configure: Configure) -> None:
    configure(TEAM_MODEL="articles.Note", TEAM_RESOLVER="permissions.middleware.team_from_header")
    note = Note.objects.create(text="a team")
    for spelling in (str(note.pk), str(note.pk).upper(), note.pk.hex):
        assert read(ask(tell, **{"X-Team": spelling}))["team"] == str(note.pk)


@sync_and_async
def test_without_a_resolver_the_header_names_no_team(ask: Ask, team: Team, configure: Configure) -> None:
    configure(TEAM_RESOLVER=None)
    assert read(ask(tell, **{"X-Team": str(team.pk)}))["team"] is None


@sync_and_async
@pytest.mark.parametrize("resolver", [resolve_row, aresolve_row])
def test_a_resolver_returns_a_row(
    ask: Ask, resolver: Callable[..., object], teams: tuple[Team, Team], configure: Configure
) -> None:
    configure(TEAM_RESOLVER=resolver)
    assert [read(ask(tell, f"/?team={team.name}"))["team"] for team in teams] == [str(team.pk) for team in teams]


@sync_and_async
@pytest.mark.parametrize("resolver", [resolve_key, aresolve_key])
def test_a_resolver_returns_a_key(ask: Ask, resolver: Callable[..., object], team: Team, configure: Configure) -> None:
    configure(TEAM_RESOLVER=resolver)
    assert read(ask(tell, f"/?team={team.pk}"))["team"] == str(team.pk)


@sync_and_async
@pytest.mark.parametrize("resolver", [resolve_guard, aresolve_guard])
def test_a_resolver_returns_the_guard(ask: Ask, resolver: Callable[..., object], configure: Configure) -> None:
    configure(GUARDS=["web", "api"], GUARD_RESOLVER=resolver)
    assert read(ask(tell, "/?guard=api"))["guard"] == "api"
    assert read(ask(tell))["guard"] == "web"


@sync_and_async
def test_a_guard_that_does_not_exist_is_a_problem(ask: Ask, configure: Configure) -> None:
    configure(GUARD_RESOLVER=resolve_guard)
    response = ask(tell, "/?guard=nope", accept="application/json")
    assert (response.status_code, read(response)["code"]) == (400, "guard_does_not_exist")


@sync_and_async
def test_a_resolver_returns_no_team(ask: Ask, teams: tuple[Team, Team], configure: Configure) -> None:
    configure(TEAM_RESOLVER=resolve_nobody)
    assert read(ask(tell))["team"] is None


@sync_and_async
def test_where_there_are_no_teams_a_resolver_may_find_none(ask: Ask, configure: Configure) -> None:
    configure(TEAM_RESOLVER="permissions.middleware.team_from_header")
    assert read(ask(tell))["team"] is None


# Teams that cannot be


@sync_and_async
@pytest.mark.parametrize(
    "key", ["999999", "nope", "0", "-1", "1.5", "9" * 30, "9" * 5000, "²", "1\x7f", "None", "True"]
)
def test_an_unknown_team_is_a_problem_for_programs(ask: Ask, key: str, teams: tuple[Team, Team]) -> None:
    response = ask(tell, **{"X-Team": key, "Accept": "application/json"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    body = read(response)
    body.pop("request_id", None)  # that of another test
    assert body == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "team_does_not_exist",
        "detail": "There is no such team.",
        "errors": [{"field": "X-Team", "code": "team_does_not_exist", "message": "There is no such team."}],
    }


@sync_and_async
def test_an_unknown_team_is_a_bad_request_of_people(ask: Ask, teams: tuple[Team, Team]) -> None:
    with pytest.raises(BadRequest, match=r"^There is no such team\.$") as caught:
        ask(tell, **{"X-Team": "999999", "Accept": "text/html"})
    assert isinstance(caught.value.__cause__, TeamDoesNotExist)


@sync_and_async
def test_an_unknown_team_never_reaches_the_view(ask: Ask, teams: tuple[Team, Team]) -> None:
    assert ask(fail, **{"X-Team": "999999", "Accept": "application/json"}).status_code == 400


@sync_and_async
@pytest.mark.parametrize("resolver", [resolve_unsaved, resolve_key])
def test_a_resolver_that_returns_what_can_be_no_team_is_answered_alike(
    ask: Ask, resolver: Callable[..., object], teams: tuple[Team, Team], configure: Configure
) -> None:
    configure(TEAM_RESOLVER=resolver)
    response = ask(tell, "/?team=nope", accept="application/json")
    assert (response.status_code, read(response)["code"]) == (400, "team_does_not_exist")


@sync_and_async
@pytest.mark.parametrize(
    ("resolver", "status", "error"),
    [
        (refuse, 403, PermissionDenied),
        (arefuse, 403, PermissionDenied),
        (miss, 404, Http404),
        (collide, 409, BadRequest),
    ],
)
@pytest.mark.usefixtures("teams")
def test_another_error_of_a_resolver_is_answered_with_its_status(
    ask: Ask, configure: Configure, resolver: Callable[..., object], status: int, error: type[Exception]
) -> None:
    configure(TEAM_RESOLVER=resolver)
    response = ask(tell, "/api/v1/users")
    assert (response.status_code, read(response)["status"]) == (status, status)
    with pytest.raises(error) as caught:
        ask(tell)
    assert isinstance(caught.value.__cause__, DomainError)
    assert read(response)["code"] == caught.value.__cause__.code


@sync_and_async
def test_a_team_where_there_are_no_teams_is_the_fault_of_the_settings(ask: Ask, configure: Configure) -> None:
    configure(TEAM_RESOLVER=resolve_key)
    with pytest.raises(TeamsNotEnabled):
        ask(tell, "/?team=1", accept="application/json")


def test_a_layer_without_coroutines_answers_with_a_response() -> None:
    with pytest.raises(TypeError, match="without coroutines"):
        ScopeMiddleware(lambda request: "no response")(RequestFactory().get("/"))  # type: ignore[arg-type] # the wrong type is what is tested


# Streams


def test_a_stream_keeps_the_scope_and_does_not_pass_it_on(team: Team) -> None:
    response = ask_sync(stream, **{"X-Team": str(team.pk)})
    assert isinstance(response, StreamingHttpResponse)
    seen = []
    for chunk in response:
        seen.append(chunk)
        assert scope.current.get() == scope.NOWHERE
    assert seen == [f"{team.pk} ".encode()] * 3


def test_an_async_stream_keeps_the_scope_and_does_not_pass_it_on(team: Team) -> None:
    async def run() -> list[bytes]:
        answer = ScopeMiddleware(astream)(AsyncRequestFactory().get("/", headers={"X-Team": str(team.pk)}))
        assert not isinstance(answer, HttpResponseBase)
        response = await answer
        assert isinstance(response, StreamingHttpResponse)
        seen: list[bytes] = []
        async for chunk in response:
            seen.append(chunk)
            assert scope.current.get() == scope.NOWHERE
        return seen

    assert async_to_sync(run)() == [f"{team.pk} ".encode()] * 3


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_a_stream_of_the_other_kind_keeps_the_scope(team: Team) -> None:
    response = ask_async(stream, **{"X-Team": str(team.pk)})
    assert isinstance(response, StreamingHttpResponse)
    content = aiter(response)

    async def run() -> list[bytes]:
        return [chunk async for chunk in content]

    assert async_to_sync(run)() == [f"{team.pk} ".encode()] * 3


def test_two_streams_that_are_sent_side_by_side_keep_their_scopes(teams: tuple[Team, Team]) -> None:
    streams = [ask_sync(stream, **{"X-Team": str(team.pk)}) for team in teams]
    chunks = [list(pair) for pair in zip(*streams, strict=True)]
    assert chunks == [[f"{team.pk} ".encode() for team in teams]] * 3


def test_a_stream_is_made_in_what_the_view_left(teams: tuple[Team, Team]) -> None:
    def change(request: HttpRequest) -> StreamingHttpResponse:
        scope.set_team(teams[1])
        return stream(request)

    response = ask_sync(change, **{"X-Team": str(teams[0].pk)})
    assert isinstance(response, StreamingHttpResponse)
    assert response.getvalue() == f"{teams[1].pk} ".encode() * 3


def test_an_error_in_a_stream_takes_the_scope_back(team: Team) -> None:
    def broken(request: HttpRequest) -> StreamingHttpResponse:
        def chunks() -> Iterator[str]:
            yield str(scope.get_team())
            raise ZeroDivisionError

        return StreamingHttpResponse(chunks())

    response = iter(ask_sync(broken, **{"X-Team": str(team.pk)}))
    assert next(response) == str(team.pk).encode()
    with pytest.raises(ZeroDivisionError):
        next(response)
    assert scope.current.get() == scope.NOWHERE


def test_a_stream_that_nobody_reads_to_its_end_is_closed(team: Team) -> None:
    closed: list[bool] = []

    def endless(request: HttpRequest) -> StreamingHttpResponse:
        def chunks() -> Iterator[str]:
            try:
                while True:
                    yield "more"
            finally:
                closed.append(True)

        return StreamingHttpResponse(chunks())

    response = ask_sync(endless, **{"X-Team": str(team.pk)})
    assert isinstance(response, StreamingHttpResponse)
    assert next(iter(response)) == b"more"
    response.close()
    assert closed == [True]


@sync_and_async
def test_a_file_is_sent_as_it_is(ask: Ask, team: Team) -> None:
    file = BytesIO(b"a file")
    response = ask(lambda request: FileResponse(file, filename="a.txt"), **{"X-Team": str(team.pk)})
    assert isinstance(response, FileResponse)
    assert response.file_to_stream is file
    assert response.getvalue() == b"a file"


# Side by side


def test_concurrent_requests_do_not_see_the_team_of_each_other(teams: tuple[Team, Team], configure: Configure) -> None:
    configure(TEAM_RESOLVER=aresolve_key)

    async def run() -> list[list[str | None]]:
        barrier = asyncio.Barrier(2)

        async def view(request: HttpRequest) -> HttpResponseBase:
            seen = [scope.get_team()]
            await barrier.wait()
            seen += [scope.get_team(), await sync_to_async(scope.get_team)()]
            return JsonResponse({"seen": seen})

        middleware = ScopeMiddleware(view)
        answers = [middleware(AsyncRequestFactory().get(f"/?team={team.pk}")) for team in teams]
        return [read(one)["seen"] for one in await asyncio.gather(*answers)]  # type: ignore[arg-type] # with coroutines

    assert async_to_sync(run)() == [[str(team.pk)] * 3 for team in teams]


# Through the whole house


@pytest.fixture
def reader(user: User, team: Team) -> User:
    """May see users in the first team, and nothing elsewhere."""
    role = Role.create("reader").give_permission_to("accounts.view_user")
    return user.assign_role(role, team=team)


def bearer(user: User) -> str:
    token = issue_access_token(
        subject=str(user.pk),
        client_id=FIRST_PARTY_CLIENT_ID,
        now=timezone.now(),
        lifetime=timedelta(minutes=5),
        scope=None,
    )
    return f"Bearer {token}"


def get(address: str, user: User, **headers: str) -> HttpResponseBase:
    client = Client()
    client.force_login(user)
    return client.get(address, headers=headers)


def aget(address: str, user: User, **headers: str) -> HttpResponseBase:
    async def run() -> HttpResponseBase:
        client = AsyncClient()
        await client.aforce_login(user)
        return await client.get(address, headers=headers)

    return async_to_sync(run)()


sync_and_async_handler = pytest.mark.parametrize("get_page", [get, aget])


@pytest.mark.urls(__name__)
@sync_and_async_handler
@pytest.mark.parametrize("address", ["/rights", "/arights"])
def test_the_team_of_the_request_is_where_rights_are_asked_for(
    get_page: Ask, address: str, reader: User, teams: tuple[Team, Team]
) -> None:
    answers = [get_page(address, reader, **{"X-Team": str(key)}) for key in (teams[0].pk, teams[1].pk, "")]
    assert [read(answer)["may"] for answer in answers] == [True, False, False]


@pytest.mark.urls(__name__)
@sync_and_async_handler
@pytest.mark.parametrize("address", ["/tell", "/atell"])
def test_the_scope_holds_in_views_of_either_kind(get_page: Ask, address: str, user: User, team: Team) -> None:
    assert read(get_page(address, user, **{"X-Team": str(team.pk)})) == {"guard": "web", "team": str(team.pk)}


@pytest.mark.urls(__name__)
@sync_and_async_handler
def test_a_resolver_may_ask_who_signed_in(
    get_page: Ask, make_user: MakeUser, teams: tuple[Team, Team], configure: Configure
) -> None:
    configure(TEAM_RESOLVER=resolve_by_user)
    found = []
    for name in ("one", "two", "three"):
        user = make_user(email=f"{name}@example.com")
        User.objects.filter(pk=user.pk).update(name=name)
        found.append(read(get_page("/tell", user))["team"])
    assert found == [str(teams[0].pk), str(teams[1].pk), None]


def test_the_api_answers_as_the_team_of_the_header_lets_it(reader: User, teams: tuple[Team, Team]) -> None:
    client = Client(headers={"Authorization": bearer(reader)})
    answers = [client.get("/api/v1/users", headers={"X-Team": str(key)}) for key in (teams[0].pk, teams[1].pk, "")]
    assert [answer.status_code for answer in answers] == [200, 403, 403]


def test_the_api_answers_a_problem_about_a_team_that_is_not_there(reader: User) -> None:
    client = Client(headers={"Authorization": bearer(reader)})
    response = client.get("/api/v1/users", headers={"X-Team": "nope"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["errors"][0]["field"] == "X-Team"
    assert response.json()["request_id"] == response["X-Request-Id"]


def test_people_get_a_page_about_a_team_that_is_not_there(client: Client, team: Team) -> None:
    response = client.get("/", headers={"X-Team": "nope", "Accept": "text/html"})
    assert (response.status_code, response["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize(("resolver", "status"), [(refuse, 403), (miss, 404)])
def test_people_get_the_page_of_another_refusal(
    client: Client, resolver: Callable[..., object], status: int, team: Team, configure: Configure
) -> None:
    configure(TEAM_RESOLVER=resolver)
    response = client.get("/", headers={"Accept": "text/html"})
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")


@pytest.mark.urls(__name__)
def test_the_house_streams_in_the_scope_of_the_request(user: User, team: Team) -> None:
    response = get("/stream", user, **{"X-Team": str(team.pk)})
    assert isinstance(response, StreamingHttpResponse)
    assert response.getvalue() == f"{team.pk} ".encode() * 3


@pytest.mark.urls(__name__)
def test_the_house_streams_with_coroutines_in_the_scope_of_the_request(user: User, team: Team) -> None:
    async def run() -> bytes:
        client = AsyncClient()
        await client.aforce_login(user)
        response: HttpResponseBase = await client.get("/astream", headers={"X-Team": str(team.pk)})
        assert isinstance(response, StreamingHttpResponse)
        return b"".join([chunk async for chunk in response])

    assert async_to_sync(run)() == f"{team.pk} ".encode() * 3

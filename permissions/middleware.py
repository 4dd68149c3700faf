"""What guard and which team hold while a request is answered.

``ScopeMiddleware`` stands behind Django's ``AuthenticationMiddleware``, so that ``PERMISSIONS["TEAM_RESOLVER"]`` can
ask ``request.user``. ``team_from_header`` is a resolver that is ready to be named there; a project writes its own
where teams have host names or stand in the session.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus
from inspect import iscoroutinefunction, markcoroutinefunction
from typing import Final

from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse

from permissions import conf, scope, selectors
from permissions.exceptions import TeamDoesNotExist, TeamsNotEnabled
from permissions.scope import Scope
from project.api import problem_response, wants_problem
from project.exceptions import DomainError

type GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]

type _Resolver = Callable[[HttpRequest], object]

#: Header in which a program says which team it is about.
TEAM_HEADER: Final = "X-Team"


class ScopeMiddleware:
    """Let the guard and the team that the resolvers find hold for one request and no longer.

    Without a resolver that is the default guard, and no team. They hold wherever the request is answered, in threads
    and tasks and while a response is streamed. A team or guard that doesn't exist is answered with 400, and with the
    status of its own where a resolver raises another ``DomainError``.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        """Keep the next layer, and work as it does: with coroutines or without."""
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer in the scope of the request."""
        return self._aanswer(request) if self._is_async else self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        token = scope.current.set(Scope(conf.get().default_guard, None))
        try:
            try:
                if guard := _resolve(conf.get_guard_resolver(), request):
                    scope.set_guard(str(guard))
                scope.set_team(_resolve(conf.get_team_resolver(), request))
            except DomainError as error:
                return _refuse(request, error)
            response = self.get_response(request)
            if not isinstance(response, HttpResponseBase):
                message = "A layer without coroutines answered with one."
                raise TypeError(message)
            return _keep_while_streaming(response, scope.current.get())
        finally:
            scope.current.reset(token)

    async def _aanswer(self, request: HttpRequest) -> HttpResponseBase:
        token = scope.current.set(Scope(conf.get().default_guard, None))
        try:
            try:
                if guard := await _aresolve(conf.get_guard_resolver(), request):
                    scope.set_guard(str(guard))
                scope.set_team(await _aresolve(conf.get_team_resolver(), request))
            except DomainError as error:
                return _refuse(request, error)
            answer = self.get_response(request)
            response = answer if isinstance(answer, HttpResponseBase) else await answer
            return _keep_while_streaming(response, scope.current.get())
        finally:
            scope.current.reset(token)


def team_from_header(request: HttpRequest) -> Model | None:
    """Return the team whose key the header ``X-Team`` holds, None where it is missing or empty.

    Anybody can name any team: in it one has the roles that one was given there, or everywhere, and no others.

    Raises:
        TeamDoesNotExist: There is no such team.
    """
    key = request.headers.get(TEAM_HEADER, "").strip()
    if not key:
        return None
    try:
        return selectors.get_team(key=key)
    except TeamDoesNotExist as error:
        error.fields = {TEAM_HEADER: [error.message]}
        raise


def _resolve(resolver: _Resolver | None, request: HttpRequest) -> object:
    if resolver is None:
        return None
    return async_to_sync(resolver)(request) if iscoroutinefunction(resolver) else resolver(request)


async def _aresolve(resolver: _Resolver | None, request: HttpRequest) -> object:
    if resolver is None:
        return None
    return await (resolver if iscoroutinefunction(resolver) else sync_to_async(resolver))(request)


def _refuse(request: HttpRequest, error: DomainError) -> HttpResponseBase:
    """Return the problem for a program.

    Raises:
        BadRequest: A person asks, who gets a page: that of 400 or, raised in its place, that of 403 or 404.
        TeamsNotEnabled: The settings are to blame, not the request.
    """
    if isinstance(error, TeamsNotEnabled):
        raise error
    if not wants_problem(request):
        pages = {HTTPStatus.NOT_FOUND: Http404, HTTPStatus.FORBIDDEN: PermissionDenied}
        raise pages.get(error.status, BadRequest)(error.message) from error
    errors = [
        {"field": field, "code": error.code, "message": message}
        for field, messages in error.fields.items()
        for message in messages
    ]
    return problem_response(status=error.status, code=error.code, detail=error.message, errors=errors)


def _keep_while_streaming(response: HttpResponseBase, held: Scope) -> HttpResponseBase:
    """Return the response; what it makes only while it is sent, it makes in the scope that it was built in."""
    if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
        content = response.streaming_content
        response.streaming_content = (
            _astream(content, held) if isinstance(content, AsyncIterable) else _stream(content, held)
        )
    return response


def _stream(chunks: Iterable[bytes], held: Scope) -> Iterator[bytes]:
    iterator = iter(chunks)
    while True:
        token = scope.current.set(held)
        try:
            chunk = next(iterator)
        except StopIteration:
            return
        finally:
            scope.current.reset(token)
        yield chunk


async def _astream(chunks: AsyncIterable[bytes], held: Scope) -> AsyncIterator[bytes]:
    iterator = aiter(chunks)
    while True:
        token = scope.current.set(held)
        try:
            chunk = await anext(iterator)
        except StopAsyncIteration:
            return
        finally:
            scope.current.reset(token)
        yield chunk

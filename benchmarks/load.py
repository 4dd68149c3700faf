"""Requests over HTTP, many at once, from this process."""

import asyncio
import base64
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import urlencode

#: Under which name both sides are served.
HOST = "bench.localhost"
_CONNECTIONS = 400
_CHUNK = 65_536
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, str]:
        """Return the body of an answer whose values are all text."""
        read: dict[str, str] = json.loads(self.body)
        return read


@dataclass(slots=True)
class Load:
    """What a load did to a server."""

    seconds: float = 0.0
    #: Of the processor, by this process alone.
    own_seconds: float = 0.0
    #: Of each answer, in seconds, from the moment at which its request was due.
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    #: Answers 429 and 503 that don't say when to come again.
    silent_refusals: int = 0

    @property
    def rate(self) -> float:
        """How many answers 200 came a second."""
        return self.statuses[200] / self.seconds

    @property
    def own_share(self) -> float:
        """How much of one core this process took, in per cent."""
        return 100 * self.own_seconds / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency below which this share of the answers lies, in ms."""
        latencies = sorted(self.latencies)
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1e3

    def note(self, answer: Answer, latency: float) -> None:
        """Count one answer."""
        self.statuses[answer.status] += 1
        self.latencies.append(latency)
        if answer.status in {429, 503} and "retry-after" not in answer.headers:
            self.silent_refusals += 1


class Caller:
    """Sends requests over connections that it keeps."""

    def __init__(self, port: int) -> None:
        """Call the server at that port of this machine."""
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(_CONNECTIONS)

    async def send(self, request: bytes) -> Answer:
        """Send one request and wait for its answer."""
        async with self._places:
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            writer.write(request)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            self._idle.append((reader, writer))
            return Answer(int(lines[0].split()[1]), headers, body)

    async def connect(self, number: int) -> None:
        """Have so many connections open."""
        self._idle += [await self._connect() for _ in range(number)]

    async def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)


class _Client:
    """One who has one request on its way."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.sent_at = 0.0
        self._received = b""

    def send(self, request: bytes) -> None:
        self._received, self.sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def has_answer(self) -> bool:
        """Take in what has come; say whether that is all."""
        chunk = self.socket.recv(_CHUNK)
        if not chunk:
            raise ConnectionError("The server has closed the connection.")
        self._received += chunk
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if end else None
        return length is not None and len(body) >= int(length[1])

    @property
    def answer(self) -> Answer:
        """What has come, with the one header that matters to a load."""
        waits = _RETRY_AFTER.search(self._received)
        return Answer(int(self._received[9:12]), {"retry-after": ""} if waits else {}, b"")


def build_request(
    path: str,
    *,
    token: str = "",
    body: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
    login: str = "",
) -> bytes:
    """Return a request as it goes over the wire: a POST with a body as JSON or a form, else a GET.

    ``login`` is ``name:password`` for Basic.
    """
    if form is not None:
        return _build(path, urlencode(form).encode(), "application/x-www-form-urlencoded", _tell(token, login))
    return _build(path, None if body is None else json.dumps(body).encode(), "application/json", _tell(token, login))


def _tell(token: str, login: str) -> str:
    if login:
        return f"Basic {base64.b64encode(login.encode()).decode()}"
    return f"Bearer {token}" if token else ""


def _build(path: str, content: bytes | None, kind: str, authorization: str) -> bytes:
    lines = [f"{'GET' if content is None else 'POST'} {path} HTTP/1.1", f"Host: {HOST}"]
    lines += ["X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    if content is not None:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (content or b"")


def call(port: int, request: bytes) -> Answer:
    """Send one request."""
    return _run(port, lambda caller: caller.send(request))


def call_at_once(port: int, request: bytes, *, times: int) -> list[Answer]:
    """Send one request so many times at the same moment, each over its own connection."""

    async def send_all(caller: Caller) -> list[Answer]:
        await caller.connect(times)
        return list(await asyncio.gather(*(caller.send(request) for _ in range(times))))

    return _run(port, send_all)


def call_steadily(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Let so many clients send one request after the other.

    They are bare sockets: as coroutines they would take a quarter of a machine with two cores, which they share with
    what is measured.

    Raises:
        ConnectionError: The server has closed a connection.
    """
    load, following = Load(), cycle(requests)
    with ExitStack() as stack, DefaultSelector() as selector:
        started, own_started = time.perf_counter(), time.process_time()
        for _ in range(clients):
            client = _Client(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            selector.register(client.socket, EVENT_READ, client)
            client.send(next(following))
        while selector.get_map():
            for key, _ in selector.select():
                client = key.data
                if not client.has_answer():
                    continue
                load.note(client.answer, time.perf_counter() - client.sent_at)
                if time.perf_counter() - started < seconds:
                    client.send(next(following))
                else:
                    selector.unregister(client.socket)
        load.seconds, load.own_seconds = time.perf_counter() - started, time.process_time() - own_started
    return load


def call_at_rate(port: int, requests: Sequence[bytes], *, rate: float, seconds: float) -> Load:
    """Send so many requests a second, whether those before have been answered or not."""

    async def work(caller: Caller, load: Load) -> None:
        started = time.perf_counter()

        async def send(number: int) -> None:
            due = started + number / rate
            await asyncio.sleep(due - time.perf_counter())
            load.note(await caller.send(requests[number % len(requests)]), time.perf_counter() - due)

        await asyncio.gather(*(send(number) for number in range(int(rate * seconds))))

    return _load(port, work)


def _load(port: int, work: Callable[[Caller, Load], Awaitable[None]]) -> Load:
    load = Load()

    async def measure(caller: Caller) -> None:
        started, own_started = time.perf_counter(), time.process_time()
        await work(caller, load)
        load.seconds, load.own_seconds = time.perf_counter() - started, time.process_time() - own_started

    _run(port, measure)
    return load


def _run[T](port: int, work: Callable[[Caller], Awaitable[T]]) -> T:
    async def run() -> T:
        caller = Caller(port)
        try:
            return await work(caller)
        finally:
            await caller.close()

    return asyncio.run(run())

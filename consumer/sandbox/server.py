"""The sandbox's HTTP server: connections, key check, routing to platform and `/sandbox/`. Never judges a body."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from consumer.sandbox import clock, replies
from consumer.sandbox.delivery import spoil, whole
from consumer.sandbox.facts import RequestOutcome, RequestSeen
from consumer.sandbox.faults import Fault
from consumer.sandbox.platform import Arrival, RequestVerdict, SandboxPlatform
from consumer.sandbox.questions import Questions
from consumer.sandbox.replies import Reply
from consumer.sandbox.rules import DEFAULT_SCHEDULE_FIELD

SEND_PATH = "/v2/sms/send/list"
STATUS_PATH = "/v1/status"
QUESTIONS_PREFIX = "/sandbox/"
DEFAULT_SERVER_KEY = "sandbox-key"
MAX_BODY_BYTES = 64 * 1024 * 1024
READ_BYTES = 1024 * 1024
STOP_SECONDS = 0.01
"""How long stopping waits for requests in flight. They may hang on purpose, so as short as possible; 0 means for ever."""

Log = Callable[[str], None]


class Connection(web.RequestHandler):
    """One TCP connection; knows when the first byte of the present request came."""

    __slots__ = ("first_byte_at", "number")

    def __init__(self, server: "SandboxHttpServer", *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, read_bufsize=READ_BYTES)
        self.number = server.count_connection()
        self.first_byte_at: float | None = None

    def data_received(self, data: bytes) -> None:
        """Receive bytes; the first ones after a complete request begin the next one."""
        if self.first_byte_at is None:
            self.first_byte_at = clock.now()
        super().data_received(data)


class SandboxHttpServer(web.Server):
    """The HTTP server. Low level, for speed: no routes, no middlewares, about 0.1 ms a request."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self.connections_ever = 0

    def count_connection(self) -> int:
        """Count a new connection, and return its number."""
        self.connections_ever += 1
        return self.connections_ever

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=MAX_BODY_BYTES)


class Sandbox:
    """A running sandbox: `async with Sandbox() as sandbox: ... sandbox.url, sandbox.server_key`.

    Raises `OSError` when host and port cannot be listened on, `ValueError` for an impossible schedule field.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        server_key: str = DEFAULT_SERVER_KEY,
        schedule_field: str = DEFAULT_SCHEDULE_FIELD,
        max_contacts: int | None = None,
        faults: Sequence[Fault] = (),
        log: Log | None = None,
    ) -> None:
        self.server_key = server_key
        self.platform = SandboxPlatform(schedule_field=schedule_field, max_contacts=max_contacts)
        self.platform.faults.arm(faults)
        self._authorization = f"ServerKey {server_key}".encode()
        self._host = host
        self._port = port
        self._log = log
        self._http: SandboxHttpServer | None = None
        self._listener: asyncio.Server | None = None
        self._questions: Questions | None = None

    async def __aenter__(self) -> Self:
        http = self._http = SandboxHttpServer(self._handle)
        self._questions = Questions(self.platform, connections=lambda: (http.connections_ever, len(http.connections)))
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(http, self._host, self._port, backlog=1024)
        self._port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._listener is not None
        assert self._http is not None
        self._listener.close()
        self._http.pre_shutdown()
        await self._http.shutdown(STOP_SECONDS)

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The URL of the send endpoint."""
        return self.base_url + SEND_PATH

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now."""
        found = [] if self._http is None else self._http.connections
        return [connection for connection in found if isinstance(connection, Connection)]

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        is_probe = path == STATUS_PATH and request.method == "GET"
        if not is_probe and not path.startswith(QUESTIONS_PREFIX):
            return await self._count(request)
        await request.read()
        _connection(request).first_byte_at = None
        if is_probe:
            return whole(replies.with_message(200, "OK", {"service": "sandbox"}))
        assert self._questions is not None
        return await self._questions.answer(request)

    async def _count(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request to the platform, and count it from its head to its end."""
        records = self.platform.records
        records.arrive()
        seen: RequestSeen | None = None
        status: int | None = None
        try:
            verdict = await self._judge(request)
            seen = verdict.seen
            if verdict.fired.latency_seconds:
                await asyncio.sleep(verdict.fired.latency_seconds)
            for removed in verdict.fired.held_by:
                await removed.wait()
            if isinstance(verdict.answer, Reply):
                status = verdict.answer.status
                return whole(verdict.answer)
            status = verdict.answer.status
            return await spoil(request, verdict.answer)
        finally:
            records.end(seen, status=status, now=clock.now())
            if self._log is not None and seen is not None:
                self._log(_log_line(seen))

    async def _judge(self, request: web.BaseRequest) -> RequestVerdict:
        connection = _connection(request)
        first_byte_at = connection.first_byte_at or clock.now()
        body: bytes | None = None
        problem: tuple[int, str] | None = None
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            problem = (413, f"the body has more than {MAX_BODY_BYTES} bytes")
        except (web.RequestPayloadError, ConnectionError):
            problem = (400, "the body broke off")
        connection.first_byte_at = None
        arrival = Arrival(first_byte_at=first_byte_at, received_at=clock.now(), connection=connection.number)
        refusal = self._refusal_of(request, problem)
        if refusal is None:
            assert body is not None
            return self.platform.receive(body, arrival)
        reply, outcome, message = refusal
        return self.platform.refuse_unread(
            arrival, reply, outcome=outcome, message=message, body_bytes=0 if body is None else len(body)
        )

    def _refusal_of(
        self, request: web.BaseRequest, problem: tuple[int, str] | None
    ) -> tuple[Reply, RequestOutcome, str] | None:
        """Return the refusal of a request for its path, method, headers or a broken body; None if it gets none."""
        status, message, outcome = 0, "", RequestOutcome.NOT_FOUND
        headers: dict[str, str] = {}
        if request.path != SEND_PATH:
            status, message = 404, f"no such path; sends go to {SEND_PATH}"
        elif request.method != "POST":
            status, message, headers = 405, "sends are POSTed", {"Allow": "POST"}
        elif not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._authorization):
            outcome = RequestOutcome.UNAUTHORIZED
            status, message = 401, "the header Authorization must be ServerKey, a space and the right key"
        elif problem is not None:
            outcome = RequestOutcome.UNREADABLE
            status, message = problem
        elif request.content_type != "application/json":
            outcome = RequestOutcome.UNREADABLE
            status, message = 415, "the header Content-Type must be application/json"
        if not status:
            return None
        return replies.with_message(status, message, headers=headers), outcome, message


def _connection(request: web.BaseRequest) -> Connection:
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection


def _log_line(seen: RequestSeen) -> str:
    ended_at = seen.ended_at or seen.received_at
    parts = [
        f"request={seen.request_id}",
        f"campaign={'-' if seen.campaign_id is None else seen.campaign_id}",
        f"outcome={seen.outcome}",
        f"status={'-' if seen.status is None else seen.status}",
        f"contacts={seen.contacts}",
        f"accepted={seen.accepted}",
        f"ms={(ended_at - seen.first_byte_at) * 1000:.1f}",
    ]
    if seen.fault is not None:
        parts.append(f"fault={seen.fault}")
    if seen.message is not None:
        parts.append(f"message={seen.message!r}")
    return " ".join(parts)

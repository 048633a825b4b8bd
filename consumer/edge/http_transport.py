"""Carries httpx requests over aiohttp, and knows when a request's first byte leaves. Never retries what has begun.

httpx's own pool collapses under concurrency, and the ready-made transports report an answer that was lost after the
request went out as a connect error. Here it is the request itself that says whether it has begun: `Attempt.started_at`
is set in the same breath as the first byte is written, with no await between. Until then a broken connection may be
replaced by another; from then on whatever happens belongs to this request.
"""

import asyncio
import os
import select
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from aiohttp.http_exceptions import HttpProcessingError

from consumer.core.answer import Withholding
from consumer.core.terms import Instant
from consumer.service.ports import Clock

KEEP_ALIVE_SECONDS = 15.0
"""Idle connections are closed after this: sooner than common servers do (nginx 75, AWS load balancers 60)."""

DNS_CACHE_SECONDS = 10
"""Long enough to spare a lookup per connection, short enough to follow a platform that moves."""

NETWORK_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, UnicodeError)
"""What aiohttp raises for things that the network does. `UnicodeError`: a host name that DNS cannot carry."""

HEADERS_READ = ("Retry-After", "Date", "Content-Encoding")
"""The rest of a head stays here: httpx acts on `Location` and `Set-Cookie`, unasked, and trips over bad ones."""

END_OF_HEAD = b"\r\n\r\n"


class WithheldError(Exception):
    """The last look said no, and nothing went out."""


class UnfitConnectionError(aiohttp.ClientConnectionError):
    """The connection in hand cannot bring an answer, and nothing went out."""

    def __init__(self, *, reused: bool) -> None:
        super().__init__("the server closed the connection before the request")
        self.reused = reused


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One request on its way: what it asks before its first byte, and what it says afterwards.

    `deadline` bounds the wait for a connection; with the first byte it starts anew, with `timeout_seconds`.
    """

    last_look: Callable[[], Withholding | None]
    clock: Clock
    deadline: asyncio.Timeout
    timeout_seconds: float
    withheld: Withholding | None = None
    started_at: Instant | None = None
    wire: "Wire | None" = None

    def begin(self) -> None:
        """Look for the last time; on return, the very next thing has to be the first byte.

        The clock is read before the look: what the look has found to be in time is recorded as in time.

        Raises:
            WithheldError: nothing may go out.
        """
        now = self.clock.now()
        self.withheld = self.last_look()
        if self.withheld is not None:
            raise WithheldError
        self.started_at = now.wall
        self.deadline.reschedule(asyncio.get_running_loop().time() + self.timeout_seconds)


class Wire(asyncio.Protocol):
    """Stands between a connection's transport and aiohttp's parser, from its first request on.

    aiohttp drops a complete head when what follows it in the same segment is garbled, and never tells the reader of a
    body that becomes garbled later. So a head is handed on apart from what follows it, and a broken body is told of.
    """

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport
        self._tail = b""
        self._body: aiohttp.StreamReader | None = None
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), _unwelcome_events(transport))
        self.reused = False

    @staticmethod
    def of(connection: Connection) -> "Wire":
        """The wire of a connection in hand; made at its first request.

        Raises:
            UnfitConnectionError: it is closed already, and so it is a new one: the pool hands out no others.
        """
        handler, transport = connection.protocol, connection.transport
        if handler is None or transport is None:
            raise UnfitConnectionError(reused=False)
        wire = transport.get_protocol()
        if isinstance(wire, Wire):
            wire.reused = True
            return wire
        wire = Wire(handler, transport)
        transport.set_protocol(wire)
        return wire

    def must_be_fit(self) -> None:
        """Make sure that the peer has neither closed this connection nor said anything unasked.

        What the event loop has not yet noticed, the kernel is asked for: the peer's FIN is often there already.

        Raises:
            UnfitConnectionError: no request can be answered here.
        """
        if self._transport.is_closing() or self._handler.should_close or self._poll.poll(0):
            raise UnfitConnectionError(reused=self.reused)

    def answered(self, body: aiohttp.StreamReader) -> None:
        """The head is in hand; `body` is told when what follows turns out to be garbled."""
        self._body = body
        self._tell_if_broken()

    def leave(self) -> None:
        """The request is over. Where the answer came before all of it was written, the connection is not used again."""
        self._body = None
        if not self._transport.is_closing() and self._transport.get_write_buffer_size() > 0:
            self._handler.force_close()

    def _tell_if_broken(self) -> None:
        error = self._handler.exception()
        if error is not None and self._body is not None and not self._body.is_eof():
            self._body.set_exception(aiohttp.ClientPayloadError("the answer's body is garbled"), error)

    # ------------------------------------------------------------------------------------- asyncio calls these

    def data_received(self, data: bytes) -> None:
        """Hand on what came, cut after every end of a head; one that looks like it inside a body does no harm."""
        known = len(self._tail)
        seen = self._tail + data
        start, end = 0, seen.find(END_OF_HEAD)
        while end >= 0:
            stop = end + len(END_OF_HEAD) - known
            self._handler.data_received(data[start:stop])
            start, end = stop, seen.find(END_OF_HEAD, end + len(END_OF_HEAD))
        if start < len(data) and not self._transport.is_closing():
            self._handler.data_received(data[start:])
        self._tail = seen[-(len(END_OF_HEAD) - 1) :] if start < len(data) else b""
        self._tell_if_broken()

    def eof_received(self) -> None:
        """Hand on."""
        self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on."""
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._handler.resume_writing()


def _unwelcome_events(transport: asyncio.Transport) -> int:
    """What must not be pending where nothing was asked. Under TLS the server may send session tickets unasked."""
    closed = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)  # POLLRDHUP: Linux
    return closed if transport.get_extra_info("sslcontext") is not None else closed | select.POLLIN


class _Request(ClientRequest):
    """A request that is written at once, head and body together, after its attempt has had its last look.

    aiohttp's own `send` leaves the writing to a task of its own: between the look and the first byte anything could
    happen. What is written here is what it would write (aiohttp 3.14).
    """

    attempt: Attempt
    content: bytes

    async def send(self, conn: Connection) -> ClientResponse:
        wire = Wire.of(conn)
        assert conn.protocol is not None
        writer = StreamWriter(conn.protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)  # buffers
        wire.must_be_fit()
        try:
            self.attempt.begin()
        except WithheldError:
            conn.release()  # as good as before
            raise
        conn.add_callback(wire.leave)
        self.attempt.wire = wire
        await writer.write(self.content, drain=False)  # never suspends: what the socket cannot take is buffered
        writer.set_eof()
        assert self.response_class is not None
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )


@dataclass(slots=True, kw_only=True)
class _Outgoing:
    """Takes an attempt through aiohttp: as a middleware, it meets the request before a connection is looked for."""

    attempt: Attempt
    content: bytes

    async def __call__(
        self, request: ClientRequest, handler: Callable[[ClientRequest], Awaitable[ClientResponse]]
    ) -> ClientResponse:
        assert isinstance(request, _Request)
        request.attempt, request.content = self.attempt, self.content
        while True:
            try:
                return await handler(request)
            except UnfitConnectionError as error:
                if not error.reused:
                    raise


@dataclass(slots=True, kw_only=True)
class _Body(httpx.AsyncByteStream):
    """An answer's body as it comes from the wire, still encoded."""

    response: ClientResponse

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self.response.content.readany()
        except NETWORK_ERRORS as error:
            raise httpx.ReadError(describe(error)) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Give the connection back where all was read; else close it: what is still to come belongs to nobody."""
        self.response.close()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport that expects an `Attempt` among a request's extensions, as `attempt`.

    It frames requests itself: `Host` and `Content-Length` are added here.
    """

    def __init__(self, *, max_connections: int, ssl_context: ssl.SSLContext | None) -> None:
        self._max_connections = max_connections
        self._ssl = ssl_context or True
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        """Make the session at its first use: it belongs to the loop that runs then."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._max_connections,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ttl_dns_cache=DNS_CACHE_SECONDS,
                dns_cache_max_size=16,
                ssl=self._ssl,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                request_class=_Request,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None),
                auto_decompress=False,
            )
        return self._session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make the attempt; return with the answer's head.

        Raises:
            WithheldError: the last look said no.
            httpx.ConnectError: nothing went out.
            httpx.ReadError: something may have gone out, and no complete head came back.
        """
        attempt: Attempt = request.extensions["attempt"]
        assert isinstance(request.stream, httpx.ByteStream)
        outgoing = _Outgoing(attempt=attempt, content=b"".join(request.stream))
        headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw]
        headers.append(("Content-Length", str(len(outgoing.content))))
        try:
            response = await self._open().request(
                request.method,
                str(request.url),
                headers=headers,
                allow_redirects=False,
                middlewares=(outgoing,),
            )
        except NETWORK_ERRORS as error:
            kind = httpx.ConnectError if attempt.started_at is None else httpx.ReadError
            raise kind(describe(error)) from error
        assert attempt.wire is not None
        attempt.wire.answered(response.content)
        head = [(name, response.headers[name]) for name in HEADERS_READ if name in response.headers]
        return httpx.Response(response.status, headers=head, stream=_Body(response=response))

    async def aclose(self) -> None:
        """Close every connection; requests that are out end as lost."""
        if self._session is not None:
            await self._session.close()


class _NoCookies(httpx.Cookies):
    """Takes none: a load balancer's cookie would tie all requests to one of its machines, and parsing costs a sixth."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them."""


class CookielessClient(httpx.AsyncClient):
    """An httpx client that keeps no cookies."""

    @property
    def cookies(self) -> httpx.Cookies:
        """Always empty."""
        return _NoCookies()

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        raise AttributeError(f"this client keeps no cookies, and so takes no {type(cookies).__name__}")


def describe(error: BaseException) -> str:
    """An error in words that hold no URL, header or body: its kind, and what the system or TLS said."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {getattr(error.certificate_error, 'verify_message', 'the certificate is not valid')}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"TLS: {getattr(error.os_error, 'reason', None) or 'the handshake failed'}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"DNS: {error.os_error.strerror or 'no such host'}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__

"""An httpx transport over aiohttp that knows when a request's first byte is written. Never retries a started request.

httpx's own connection pool is slow under concurrency, and the existing aiohttp transports report an answer that was lost
after the request went out as a connect error. Here `Attempt.started_at` says whether a request has started: it is set
right before the first byte is written, with no await between. Until then a broken connection may be replaced by another;
from then on every failure is this request's.
"""

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import httpx
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from aiohttp.http import StreamWriter
from aiohttp.http_exceptions import HttpProcessingError

from consumer.edge.platform.http_wire import (
    MAX_KEEP_ALIVE_SECONDS,
    Attempt,
    NoHeadError,
    UnfitConnectionError,
    Wire,
    WithheldError,
)

DNS_CACHE_SECONDS = 10
"""Long enough to spare a lookup per connection, short enough to follow a platform that moves."""

NETWORK_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError, EOFError, UnicodeError)
"""What aiohttp raises for things that the network does. `UnicodeError`: a host name that DNS cannot carry."""


class _Request(ClientRequest):
    """A request that writes head and body at once, right after its attempt's last look.

    aiohttp's own `send` writes in a separate task: between the look and the first byte anything could happen. The bytes
    are those that aiohttp would write (3.14).
    """

    attempt: Attempt
    content: bytes
    keep_alive_seconds: float

    async def send(self, conn: Connection) -> ClientResponse:
        wire = Wire.of(conn, keep_alive_seconds=self.keep_alive_seconds)
        assert conn.protocol is not None
        writer = StreamWriter(conn.protocol, self.loop)
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)  # buffers
        wire.must_be_fit()
        try:
            self.attempt.begin()
        except WithheldError:
            conn.release()  # nothing was written: it can be used again
            raise
        conn.add_callback(wire.leave)
        wire.expect(self.attempt, request_bytes=len(self.content))
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
    """An aiohttp middleware that gives a request its attempt, and tries again while no byte of it has arrived."""

    attempt: Attempt
    content: bytes
    keep_alive_seconds: float

    async def __call__(
        self, request: ClientRequest, handler: Callable[[ClientRequest], Awaitable[ClientResponse]]
    ) -> ClientResponse:
        assert isinstance(request, _Request)
        request.attempt, request.content = self.attempt, self.content
        request.keep_alive_seconds = self.keep_alive_seconds
        while True:
            try:
                return await handler(request)
            except UnfitConnectionError as error:
                if not error.reused:
                    raise
            except NETWORK_ERRORS:
                if not await self.attempt.never_arrived():
                    raise


@dataclass(slots=True, kw_only=True)
class _Body(httpx.AsyncByteStream):
    """An answer's body as received, still encoded."""

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
        """Return the connection to the pool if the body was read to its end; otherwise close it."""
        self.response.close()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport that expects an `Attempt` among a request's extensions, as `attempt`.

    It frames requests itself: `Host` and `Content-Length` are added here.
    """

    def __init__(self, *, max_connections: int, keep_alive_seconds: float, ssl_context: ssl.SSLContext | None) -> None:
        """`keep_alive_seconds`: how long a connection may be idle where the server does not say."""
        self._max_connections = max_connections
        self._keep_alive_seconds = keep_alive_seconds
        self._ssl = ssl_context or True
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        """Return the session; it is made at its first use, because it belongs to the loop that runs then."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._max_connections,
                keepalive_timeout=max(self._keep_alive_seconds, MAX_KEEP_ALIVE_SECONDS),  # each wire knows better
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
        """Make the attempt; return a response with the answer's status and body. The head is in `attempt.head`.

        httpx gets no headers: it acts on `Location` and `Set-Cookie` by itself, and fails on malformed ones.

        Raises:
            WithheldError: the last look forbade the request.
            httpx.ConnectError: nothing went out.
            httpx.ReadError: something may have gone out, and no complete head came back.
        """
        attempt: Attempt = request.extensions["attempt"]
        assert isinstance(request.stream, httpx.ByteStream)
        outgoing = _Outgoing(
            attempt=attempt, content=b"".join(request.stream), keep_alive_seconds=self._keep_alive_seconds
        )
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
        wire, head = attempt.wire, attempt.head
        assert wire is not None
        assert head is not None
        wire.answered(response.content)
        return httpx.Response(head.status, stream=_Body(response=response))

    async def aclose(self) -> None:
        """Close all connections; requests in flight end as lost."""
        if self._session is not None:
            await self._session.close()


class _NoCookies(httpx.Cookies):
    """Ignores all cookies: a load balancer's cookie would tie all requests to one machine, and parsing costs a sixth."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore them."""


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
    """Return a description of an error without URL, header or body: its type, or what the system or TLS reported."""
    if isinstance(error, NoHeadError):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {getattr(error.certificate_error, 'verify_message', 'the certificate is not valid')}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"TLS: {getattr(error.os_error, 'reason', None) or 'the handshake failed'}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"DNS: {error.os_error.strerror or 'no such host'}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__

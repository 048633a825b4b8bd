"""An httpx transport over aiohttp's pool that knows when a request's first byte is written. Never retries a started request.

httpx's own connection pool is slow under concurrency, and the existing aiohttp transports report an answer that was lost
after the request went out as a connect error. The clients of both do more for a request than all else that it takes: here
only connections come from aiohttp, and requests and answers are httpx's types without its client.

`Attempt.started_at` says whether a request has started: it is set right before the first byte is written, with no await
between. Until then a broken connection may be replaced by another; from then on every failure is this request's.
"""

import asyncio
import os
import ssl
from collections.abc import Iterator

import aiohttp
import httpx
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from consumer.edge.platform.http_wire import (
    MAX_KEEP_ALIVE_SECONDS,
    Attempt,
    CertificateRefusedError,
    NoHeadError,
    UnfitConnectionError,
    Wire,
    WithheldError,
)

DNS_CACHE_SECONDS = 10
"""Long enough to spare a lookup per connection, short enough to follow a platform that moves."""

NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)
"""Each attempt has a deadline of its own."""

NETWORK_ERRORS = (aiohttp.ClientError, OSError, EOFError, UnicodeError)
"""What aiohttp raises for things that the network does. `UnicodeError`: a host name that DNS cannot carry."""


UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes for a certificate whose chain ends at nobody whom we trust (`X509_V_ERR_*`)."""


class RequestTemplate:
    """What all requests of a kind share, written once: only content and attempt are a request's own."""

    def __init__(self, method: str, url: httpx.URL, headers: httpx.Headers) -> None:
        self._method = method
        self._url = url
        self._headers = headers
        lines = [
            b"%b %b HTTP/1.1" % (method.encode("ascii"), url.raw_path),
            b"Host: " + url.netloc,
            *[b"%b: %b" % header for header in headers.raw],
            b"Content-Length: ",
        ]
        self._head = b"\r\n".join(lines)

    def request(self, content: bytes, attempt: Attempt) -> httpx.Request:
        """Return a request whose extensions tell the transport what it needs: the attempt, and the head as written."""
        extensions = {"attempt": attempt, "head": b"%b%d\r\n\r\n" % (self._head, len(content))}
        stream = httpx.ByteStream(content)
        return httpx.Request(self._method, self._url, headers=self._headers, stream=stream, extensions=extensions)


class _CutBody(httpx.ByteStream):
    """The body of an answer that could not be read to its end."""

    def __init__(self) -> None:
        super().__init__(b"")

    def __iter__(self) -> Iterator[bytes]:
        raise httpx.ReadError("the answer's body cannot be read to its end")


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport over aiohttp's pool, for requests of a `RequestTemplate`.

    An answer is returned once its body has come, too, as it was received: still encoded.
    """

    def __init__(self, *, max_connections: int, keep_alive_seconds: float, ssl_context: ssl.SSLContext | None) -> None:
        """`keep_alive_seconds`: how long a connection may be idle where the server does not say."""
        self._max_connections = max_connections
        self._keep_alive_seconds = keep_alive_seconds
        self._ssl = ssl_context or True
        self._connector: aiohttp.TCPConnector | None = None
        self._targets: dict[tuple[bytes, bytes, int | None], ClientRequest] = {}
        """What the pool wants to know of a server, by scheme, host and port."""

    def _pool(self) -> aiohttp.TCPConnector:
        """Return the pool; it is made at its first use, because it belongs to the loop that runs then."""
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(
                limit=self._max_connections,
                keepalive_timeout=max(self._keep_alive_seconds, MAX_KEEP_ALIVE_SECONDS),  # each wire knows better
                ttl_dns_cache=DNS_CACHE_SECONDS,
                dns_cache_max_size=16,
                ssl=self._ssl,
            )
        return self._connector

    def _target(self, url: httpx.URL) -> ClientRequest:
        key = (url.raw_scheme, url.raw_host, url.port)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = ClientRequest("POST", URL(str(url)), loop=asyncio.get_running_loop())
        return target

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make the attempt; return a response with the answer's status and body. The head is in `attempt.head`.

        Who asks gets no headers: what is needed of them stands in the head, and malformed ones do no harm.

        Raises:
            WithheldError: the last look forbade the request.
            httpx.ConnectError: nothing went out.
            httpx.ReadError: something may have gone out, and no complete head came back.
        """
        attempt: Attempt = request.extensions["attempt"]
        assert isinstance(request.stream, httpx.ByteStream)
        written = b"".join((request.extensions["head"], *request.stream))
        while True:
            try:
                body = await self._try(request.url, written, attempt)
            except UnfitConnectionError as error:
                if not error.reused:
                    raise httpx.ConnectError(describe(error)) from error
            except CertificateRefusedError as error:
                attempt.started_at = None  # the request went into a handshake that failed
                raise httpx.ConnectError(describe(error)) from error
            except NETWORK_ERRORS as error:
                if attempt.started_at is None:
                    raise httpx.ConnectError(describe(error)) from error
                if not await attempt.never_arrived():
                    raise httpx.ReadError(describe(error)) from error
            else:
                assert attempt.head is not None
                return httpx.Response(
                    attempt.head.status, stream=_CutBody() if body is None else httpx.ByteStream(body)
                )

    async def _try(self, url: httpx.URL, written: bytes, attempt: Attempt) -> bytes | None:
        """Write the request to a connection right after its attempt's last look; return the body of its answer.

        None where that cannot be read to its end.
        """
        connection = await self._pool().connect(self._target(url), [], NO_TIMEOUT)
        wire: Wire | None = None
        try:
            wire = Wire.of(connection, keep_alive_seconds=self._keep_alive_seconds)
            wire.must_be_fit()
            attempt.begin()
            over = wire.expect(attempt, request_bytes=len(written))
            wire.write(written)
            body = await over
        except WithheldError:
            connection.release()  # nothing was written: it can be used again
            raise
        except BaseException:
            if wire is not None:
                wire.leave()
            connection.close()
            raise
        wire.leave()
        connection.release()
        return body

    async def aclose(self) -> None:
        """Close all connections; requests in flight end as lost."""
        if self._connector is not None:
            await self._connector.close()


def describe(error: BaseException) -> str:
    """Return a description of an error without URL, header or body: its type, or what the system or TLS reported."""
    if isinstance(error, NoHeadError | CertificateRefusedError | UnfitConnectionError):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {_distrust(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"TLS: {getattr(error.os_error, 'reason', None) or 'the handshake failed'}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"DNS: {error.os_error.strerror or 'no such host'}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'the connection broke'}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


def _distrust(error: Exception) -> str:
    """Return why the platform's certificate does not count, and what to set where nobody vouches for it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "the certificate is not valid"
    cure = "; CAMPAIGN_API__SSL_CAFILE names who may vouch for it" if error.verify_code in UNKNOWN_ISSUER else ""
    return f"{error.verify_message}{cure}"

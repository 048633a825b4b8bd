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
from multidict import CIMultiDict
from yarl import URL

from config.proxy import Proxy
from consumer.core.platform.answer import PROXY_AUTHENTICATION_REQUIRED
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


TLS_ERRORS = (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)
"""What is between the platform and us, whoever is on the way."""


class ProxyWantsPasswordError(httpx.ConnectError):
    """The proxy opens no tunnel for us (407): nothing went out."""


class RequestTemplate:
    """What all requests of a kind share, written once: only content and attempt are a request's own."""

    def __init__(self, method: str, url: httpx.URL, headers: httpx.Headers, forwarder: Proxy | None = None) -> None:
        """`forwarder` is a proxy that gets the request itself, in the clear, and not a tunnel."""
        self._method = method
        self._url = url
        self._headers = headers
        target = url.raw_path if forwarder is None else b"%b://%b%b" % (url.raw_scheme, url.netloc, url.raw_path)
        lines = [
            b"%b %b HTTP/1.1" % (method.encode("ascii"), target),
            b"Host: " + url.netloc,
            *[f"{name}: {value}".encode("ascii") for name, value in _for_proxy(forwarder).items()],
            *[b"%b: %b" % header for header in headers.raw],
            b"Content-Length: ",
        ]
        self._head = b"\r\n".join(lines)

    def request(self, content: bytes, attempt: Attempt) -> httpx.Request:
        """Return a request whose extensions tell the transport what it needs: the attempt, and the head as written."""
        extensions = {"attempt": attempt, "head": b"%b%d\r\n\r\n" % (self._head, len(content))}
        stream = httpx.ByteStream(content)
        return httpx.Request(self._method, self._url, headers=self._headers, stream=stream, extensions=extensions)


def _for_proxy(proxy: Proxy | None) -> dict[str, str]:
    """Return the header that lets us through a proxy, none where it asks for nothing."""
    if proxy is None or proxy.credentials is None:
        return {}
    return {"Proxy-Authorization": proxy.credentials.get_secret_value()}


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

    def __init__(
        self,
        *,
        max_connections: int,
        keep_alive_seconds: float,
        ssl_context: ssl.SSLContext | None,
        proxy: Proxy | None = None,
    ) -> None:
        """`keep_alive_seconds`: how long a connection may be idle where the server does not say."""
        self._proxy = proxy
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
            target = self._targets[key] = self._new_target(URL(str(url)))
        return target

    def _new_target(self, url: URL) -> ClientRequest:
        """Return what the pool wants to know of a server: by a tunnel through the proxy, or, in the clear, of the proxy itself."""
        loop, proxy = asyncio.get_running_loop(), self._proxy
        if proxy is None:
            return ClientRequest("POST", url, loop=loop)
        way = URL.build(scheme="http", host=proxy.host, port=proxy.port)
        if url.scheme == "http":
            return ClientRequest("POST", way, loop=loop)
        host = f"{url.host_subcomponent}:{url.port}"
        # Connections are kept by these headers, too, and the pool adds the target's Host to them: it must be there before.
        headers = CIMultiDict({"Host": host, **_for_proxy(proxy)})
        target = ClientRequest("POST", url, loop=loop, proxy=way, proxy_headers=headers)
        target.headers["Host"] = host  # of CONNECT: our requests have heads of their own
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
                    raise self._no_connection(error) from error
            except CertificateRefusedError as error:
                attempt.started_at = None  # the request went into a handshake that failed
                raise httpx.ConnectError(describe(error)) from error
            except NETWORK_ERRORS as error:
                if attempt.started_at is None:
                    raise self._no_connection(error) from error
                if not await attempt.never_arrived():
                    raise httpx.ReadError(describe(error)) from error
            else:
                assert attempt.head is not None
                return httpx.Response(
                    attempt.head.status, stream=_CutBody() if body is None else httpx.ByteStream(body)
                )

    def _no_connection(self, error: Exception) -> httpx.ConnectError:
        """Return what an error before the first byte is for who asks: the way to a proxy and through it is the proxy's."""
        if self._proxy is None or isinstance(error, TLS_ERRORS):
            return httpx.ConnectError(describe(error))
        kind = httpx.ConnectError
        if isinstance(error, aiohttp.ClientHttpProxyError) and error.status == PROXY_AUTHENTICATION_REQUIRED:
            kind = ProxyWantsPasswordError
        return kind(f"{self._proxy}: {_no_tunnel(error)}")

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


def _no_tunnel(error: Exception) -> str:
    """Return a description of why a proxy has opened no way to the platform."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"it answered {error.status} to CONNECT"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "what came back to CONNECT is no HTTP"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case _:
            return describe(error)


def _distrust(error: Exception) -> str:
    """Return why the platform's certificate does not count, and what to set where nobody vouches for it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "the certificate is not valid"
    cure = "; CAMPAIGN_API__SSL_CAFILE names who may vouch for it" if error.verify_code in UNKNOWN_ISSUER else ""
    return f"{error.verify_message}{cure}"

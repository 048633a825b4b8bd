"""One connection to the platform: when a request may use it, and what came back. Opens none, never retries.

aiohttp's parser refuses some heads although their status is clear, and drops a complete head when garbled bytes follow
it in the same segment. So answers are read here (`answer_head.py`, `answer_content.py`). aiohttp's own protocol of the
connection gets no data: the pool asks it whether the connection may be used again.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from consumer.core.platform.answer import Withholding
from consumer.core.terms import Instant
from consumer.edge.platform.answer_content import AnswerContent
from consumer.edge.platform.answer_head import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    AnswerHead,
    may_become_a_head,
    read_head,
)
from consumer.edge.platform.deadline import Deadline
from consumer.edge.platform.tcp_evidence import Baseline, ClosedConnection
from consumer.service.ports import Clock

MAX_KEEP_ALIVE_SECONDS = 60.0
"""The bound on a server's keep-alive time: devices on the way (NAT) forget idle connections after some minutes."""


class WithheldError(Exception):
    """The last look forbade the request, and nothing went out."""


class UnfitConnectionError(aiohttp.ClientConnectionError):
    """The connection in hand cannot bring an answer, and nothing went out."""

    def __init__(self, *, reused: bool) -> None:
        super().__init__("the server closed the connection before the request")
        self.reused = reused


class NoHeadError(aiohttp.ClientConnectionError):
    """What came back cannot be the head of an HTTP answer."""


class CertificateRefusedError(aiohttp.ClientConnectionError):
    """The platform ended the TLS handshake over the certificate that we have shown, or have not.

    With TLS 1.3 a client is through the handshake before the server is: the request may be out by then, and was not read.
    """

    def __init__(self, alert: str) -> None:
        super().__init__(f"TLS: the platform refuses our certificate ({alert}); CAMPAIGN_API__SSL_CERTFILE names it")


CERTIFICATE_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "none shown",
    "TLSV1_ALERT_UNKNOWN_CA": "issuer unknown",
    "SSLV3_ALERT_BAD_CERTIFICATE": "bad",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "unsupported",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "revoked",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "unknown",
}
"""The alerts of RFC 8446, 6.2, that are about a client's certificate, by OpenSSL's names for them, and what they say."""


class Attempt(msgspec.Struct, eq=False, kw_only=True):
    """The state of one request: its checks before the first byte, and its answer.

    `deadline` bounds the wait for a connection; with the first byte it starts again, with `timeout_seconds`.
    `give_up_at` ends the wait for a connection earlier, where it is set; by the loop's clock.
    """

    last_look: Callable[[], Withholding | None]
    clock: Clock
    deadline: Deadline
    timeout_seconds: float
    connect_timeout_seconds: float
    give_up_at: float | None
    waits_since: float
    """Since when a connection is waited for; by the loop's clock."""
    withheld: Withholding | None = None
    look_failed: bool = False
    """Whether the last look raised: that is a bug of ours, no network error."""
    started_at: Instant | None = None
    head: AnswerHead | None = None
    """Set as soon as the head is complete. From then on the platform has answered, whatever comes next."""
    closed: ClosedConnection | None = None
    """The connection, if the peer closed it before it sent anything: it may have closed before the request came."""

    def begin(self) -> None:
        """Take the last look; on return, the caller must write the first byte at once.

        The clock is read before the look, so that `started_at` is never after a deadline that the look found in time.

        Raises:
            WithheldError: nothing may go out.
        """
        now = self.clock.now()
        self.look_failed = True
        self.withheld = self.last_look()
        self.look_failed = False
        if self.withheld is not None:
            raise WithheldError
        self.started_at = now.wall
        self.deadline.set(asyncio.get_running_loop().time() + self.timeout_seconds)

    def close(self) -> None:
        """Release the kept connection, if there is one."""
        if self.closed is not None:
            self.closed.close()
            self.closed = None

    async def never_arrived(self) -> bool:
        """Return whether it is proven that the peer has read no byte of the request; then it may be tried again."""
        if self.closed is None or not await self.closed.never_arrived():
            return False
        self.close()
        self.started_at = None
        self.waits_since = asyncio.get_running_loop().time()
        self.deadline.set(self.connect_by)
        return True

    @property
    def connect_by(self) -> float:
        """When the wait for a connection ends, by the loop's clock."""
        connect_by = self.waits_since + self.connect_timeout_seconds
        return connect_by if self.give_up_at is None else min(connect_by, self.give_up_at)


class Wire(asyncio.Protocol):
    """The protocol of a connection from its first request on, in the place of aiohttp's own."""

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport, *, keep_alive_seconds: float) -> None:
        self._handler = handler
        self._transport = transport
        self._keep_alive_seconds = keep_alive_seconds
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._attempt: Attempt | None = None
        self._baseline: Baseline | None = None
        self._written_bytes = 0
        self._head = bytearray()
        """The bytes of a head that is not complete yet."""
        self._content: AnswerContent | None = None
        """The body of an answer whose head is complete."""
        self._over: asyncio.Future[bytes | None] | None = None
        self._poll = select.poll()
        self._poll.register(self._socket.fileno(), _unwelcome_events(transport))
        self._usable_until = self._loop.time() + keep_alive_seconds
        self._retirement: asyncio.TimerHandle | None = None
        self.reused = False

    @staticmethod
    def of(connection: Connection, *, keep_alive_seconds: float) -> "Wire":
        """Return the wire of a connection; it is made at the first request.

        Raises:
            UnfitConnectionError: the connection is closed. It is a new one then: the pool returns no closed ones.
        """
        handler, transport = connection.protocol, connection.transport
        if handler is None or transport is None:
            raise UnfitConnectionError(reused=False)
        wire = transport.get_protocol()
        if isinstance(wire, Wire):
            wire.reused = True
            return wire
        wire = Wire(handler, transport, keep_alive_seconds=keep_alive_seconds)
        transport.set_protocol(wire)
        return wire

    def must_be_fit(self) -> None:
        """Make sure that the peer has not closed this connection, has sent nothing unasked, and will not close it soon.

        The kernel is asked, too: it may have the peer's FIN before the event loop notices it.

        Raises:
            UnfitConnectionError: no request can be answered here.
        """
        worn_out = self.reused and self._loop.time() > self._usable_until
        if worn_out or self._transport.is_closing() or self._handler.should_close or self._poll.poll(0):
            raise UnfitConnectionError(reused=self.reused)

    def expect(self, attempt: Attempt, *, request_bytes: int) -> "asyncio.Future[bytes | None]":
        """Treat what comes from now on as the answer to this attempt, whose first byte is written next.

        Return a future that gets the answer's body at its end, None where it cannot be read to its end. Without a complete
        head it fails with what the network has done.
        """
        self._attempt = attempt
        self._baseline = Baseline.of(self._socket, written_bytes=self._written_bytes) if self.reused else None
        self._written_bytes += request_bytes
        self._head.clear()
        self._content = None
        self._over = self._loop.create_future()
        return self._over

    def write(self, request: bytes) -> None:
        """Write a whole request. It never waits: what the socket cannot take is buffered."""
        self._transport.write(request)

    def leave(self) -> None:
        """End the request. The connection is used again only after a whole answer that came after the whole request."""
        attempt, self._attempt = self._attempt, None
        over, self._over = self._over, None
        if over is not None and over.done() and not over.cancelled():
            over.exception()  # nobody may be there any more to look at it
        if self._transport.is_closing():
            return
        content = self._content
        is_whole = content is not None and content.whole is not None and not content.has_surplus
        if attempt is None or attempt.head is None or not (is_whole and attempt.head.reusable):
            self._handler.force_close()
            return
        if self._transport.get_write_buffer_size() > 0:
            self._handler.force_close()
            return
        said = attempt.head.keep_alive_seconds
        seconds = self._keep_alive_seconds if said is None else min(said, MAX_KEEP_ALIVE_SECONDS)
        self._usable_until = self._loop.time() + seconds
        if self._retirement is None:
            self._retirement = self._loop.call_at(self._usable_until, self._retire)

    def _retire(self) -> None:
        """Close the connection if nobody has used it for as long as it may be idle."""
        self._retirement = None
        if self._attempt is not None or self._transport.is_closing():
            return  # `leave` starts the timer again
        if self._loop.time() < self._usable_until:
            self._retirement = self._loop.call_at(self._usable_until, self._retire)
        else:
            self._transport.close()

    # ------------------------------------------------------------------------------------- asyncio calls these

    def data_received(self, data: bytes) -> None:
        """Read answers. Data without a request, or behind an answer's end, closes the connection."""
        attempt, over, self._baseline = self._attempt, self._over, None
        if attempt is None or over is None or over.done():
            self._transport.close()
        elif attempt.head is None:
            self._head_grows(attempt, data)
        else:
            self._content_grows(data)

    def _head_grows(self, attempt: Attempt, data: bytes) -> None:
        raw, known = self._head, len(self._head)
        raw += data
        while True:
            if raw and raw[0] in b"\r\n":  # an empty line or two before it does no harm
                known = 0
                raw[:] = raw.lstrip(b"\r\n")
            end = END_OF_HEAD.search(raw, max(0, known - 3))
            if end is None or end.end() > MAX_HEAD_BYTES:
                break
            head, known = read_head(bytes(raw[: end.end()])), 0
            if head is None:
                break
            del raw[: end.end()]
            if not head.is_interim:
                self._head_is_complete(attempt, head, bytes(raw))
                return
        if len(raw) > MAX_HEAD_BYTES or not may_become_a_head(raw):
            self._fail(NoHeadError("what came back is no HTTP"))
            self._transport.close()

    def _head_is_complete(self, attempt: Attempt, head: AnswerHead, rest: bytes) -> None:
        attempt.head = head
        self._head.clear()
        self._content = AnswerContent(head)
        self._content_grows(rest)

    def _content_grows(self, data: bytes) -> None:
        content, over = self._content, self._over
        assert content is not None
        assert over is not None
        content.feed(data)
        if content.is_over and not over.done():
            over.set_result(content.whole)

    def _fail(self, error: Exception) -> None:
        """End the request with an error of the network; after a complete head, only its body is lost."""
        over = self._over
        if over is None or over.done():
            return
        if self._content is None:
            over.set_exception(error)
        else:
            over.set_result(self._content.whole)

    def eof_received(self) -> None:
        """If nothing has come back, keep the connection, to find out whether the peer closed before the request."""
        if self._attempt is not None and self._baseline is not None:
            self._attempt.closed = ClosedConnection(self._socket, self._baseline)
            self._baseline = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request that is out, and pass on."""
        if self._retirement is not None:
            self._retirement.cancel()
        if exc is None and self._content is not None:
            self._content.connection_ended()
        if isinstance(exc, ssl.SSLError) and not self.reused and not self._head and exc.reason in CERTIFICATE_ALERTS:
            exc = CertificateRefusedError(CERTIFICATE_ALERTS[exc.reason])
        self._fail(exc or aiohttp.ServerDisconnectedError())
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._handler.resume_writing()


def _unwelcome_events(transport: asyncio.Transport) -> int:
    """Return the poll events that make an idle connection unfit. Under TLS, data is allowed: session tickets come unasked."""
    closed = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)  # POLLRDHUP: Linux
    return closed if transport.get_extra_info("sslcontext") is not None else closed | select.POLLIN

"""The HTTP client of the SMS platform's send endpoint. Makes one attempt; never retries, never judges an answer.

The answer is `Unreachable` only where surely no byte went out. Once a byte may have gone out, anything but a complete
head is `Lost`. A complete head is an answer, even if its body is cut, garbled or too large.
"""

import asyncio
import math
import ssl
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx
from pydantic import SecretStr

from config.proxy import Proxy
from consumer import __version__
from consumer.core.platform.answer import (
    PROXY_AUTHENTICATION_REQUIRED,
    Answer,
    Answered,
    Exchange,
    Lost,
    NoConnectionYet,
    Unreachable,
    Withheld,
    Withholding,
)
from consumer.core.terms import Instant
from consumer.edge.platform.answer_content import MAX_BODY_BYTES
from consumer.edge.platform.answer_head import AnswerHead
from consumer.edge.platform.deadline import Deadline
from consumer.edge.platform.http_wire import Attempt, WithheldError
from consumer.edge.platform.transport import AiohttpTransport, ProxyWantsPasswordError, RequestTemplate
from consumer.service.ports import Clock

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""The bound on a `Retry-After`: a longer one is most likely a mistake, and retries are bounded by their age anyway."""

MAX_DATE_CHARACTERS = 64
"""The bound on a date in a head: the longest in use, with a weekday's full name, takes 33."""

PAST_DEADLINE_SECONDS = 0.5
"""How long past an event's deadline a connection is waited for: it also serves the request's other events, and the next
request. An expired event gets its outcome a second after its deadline at the latest."""

NOBODY = b'{"contacts":[]}'
"""The body of a request that texts nobody: no campaign, no contact."""


class KeyVerdict(StrEnum):
    """What the answer to a request without contacts says about server key and URL."""

    FINE = "fine"
    REFUSED = "refused"
    WRONG_URL = "wrong_url"
    UNPAID = "unpaid"
    PROXY_REFUSES = "proxy_refuses"
    UNCLEAR = "unclear"
    """No answer, or one that says nothing about the key."""


KEY_VERDICTS = {
    400: KeyVerdict.FINE,  # the platform has read the request, and missed the contacts
    401: KeyVerdict.REFUSED,
    402: KeyVerdict.UNPAID,
    403: KeyVerdict.REFUSED,
    404: KeyVerdict.WRONG_URL,
    405: KeyVerdict.WRONG_URL,
    407: KeyVerdict.PROXY_REFUSES,
    410: KeyVerdict.WRONG_URL,
    422: KeyVerdict.FINE,
}
KEY_VERDICTS_BY_CLASS = {2: KeyVerdict.FINE, 3: KeyVerdict.WRONG_URL}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """The platform's answer to a request without contacts, and what it says about server key and URL."""

    verdict: KeyVerdict
    answer: Answer


class PlatformClient:
    """Posts to the platform. Belongs to the event loop that first uses it."""

    def __init__(
        self,
        *,
        url: str,
        server_key: SecretStr,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        keep_alive_seconds: float,
        max_connections: int,
        clock: Clock,
        on_unexpected_error: Callable[[Exception], None],
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        """`timeout_seconds` run from the first byte, `connect_timeout_seconds` from the call to the first byte.

        They cover DNS, TCP, TLS and the wait for one of `max_connections`. A connection that has been idle for
        `keep_alive_seconds` is not used again, unless the server has named another time. `on_unexpected_error` gets
        errors that are bugs of ours; the attempt ends as after a network error. `ssl_context`, from `tls.py`, is what an
        https platform is spoken to with; without one, certificates are verified against the system's.
        `proxy` is on the way to the platform: a way to it and through it is part of the wait for a connection.

        Raises:
            ValueError: the key has a character that is not allowed in a header.
        """
        key = server_key.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            raise ValueError("the server key holds a character that no header can carry")
        place = httpx.URL(url)
        anybody = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": f"campaign-consumer/{__version__}",
        }
        ours = {"Authorization": f"ServerKey {key}", "Content-Type": "application/json", **anybody}
        status = place.copy_with(path="/v1/status", query=None, fragment=None)
        forwarder = proxy if place.scheme == "http" else None
        self._send = RequestTemplate("POST", place, httpx.Headers(ours), forwarder)
        self._status = RequestTemplate("GET", status, httpx.Headers(anybody), forwarder)
        self._by = "" if proxy is None else f" by {proxy}"
        self._timeout_seconds = timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._clock = clock
        self._on_unexpected_error = on_unexpected_error
        self._transport = AiohttpTransport(
            max_connections=max_connections,
            keep_alive_seconds=keep_alive_seconds,
            ssl_context=ssl_context,
            proxy=proxy,
        )

    async def post(
        self, body: bytes, *, last_look: Callable[[], Withholding | None], expires_in_seconds: float | None = None
    ) -> Exchange:
        """Make one attempt. `last_look` is called with the connection in hand, right before the first byte.

        Where an event of the request expires, a connection is waited for until shortly after `expires_in_seconds`.

        Raises only what `last_look` raises. If the call is cancelled after the first byte, the attempt's fate is
        unknown.
        """
        return await self._attempt(self._send, body, last_look, expires_in_seconds)

    async def ask_status(self) -> Answer:
        """Ask for the platform's status, to see whether it can be reached; needs no key."""
        return (await self._attempt(self._status, b"", _go_ahead, None)).answer

    async def ask_key(self) -> KeyCheck:
        """Check server key and URL with a request that texts nobody."""
        answer = (await self.post(NOBODY, last_look=_go_ahead)).answer
        return KeyCheck(verdict=_verdict_on_key(answer), answer=answer)

    async def close(self) -> None:
        """Close all connections. Requests in flight end as lost."""
        await self._transport.aclose()

    async def _attempt(
        self,
        template: RequestTemplate,
        content: bytes,
        last_look: Callable[[], Withholding | None],
        expires_in_seconds: float | None,
    ) -> Exchange:
        now = asyncio.get_running_loop().time()
        deadline = Deadline()
        attempt = Attempt(
            last_look=last_look,
            clock=self._clock,
            deadline=deadline,
            timeout_seconds=self._timeout_seconds,
            connect_timeout_seconds=self._connect_timeout_seconds,
            give_up_at=None if expires_in_seconds is None else now + expires_in_seconds + PAST_DEADLINE_SECONDS,
            waits_since=now,
        )
        request = template.request(content, attempt)
        body: bytes | None = None
        answer: Answer | None = None
        try:
            with deadline:
                deadline.set(attempt.connect_by)
                response = await self._transport.handle_async_request(request)
                assert attempt.head is not None
                body = _body(response, attempt.head)
        except WithheldError:
            assert attempt.withheld is not None
            answer = Withheld(why=attempt.withheld)
        except TimeoutError:
            answer = self._timed_out(attempt)
        except ProxyWantsPasswordError:
            answer = Answered(status=PROXY_AUTHENTICATION_REQUIRED, retry_after_seconds=None, body=b"")
        except httpx.TransportError as error:
            answer = _failed(attempt, str(error))
        except Exception as error:
            if attempt.look_failed:
                raise
            self._on_unexpected_error(error)
            answer = _failed(attempt, f"unexpected {type(error).__name__}")
        finally:
            attempt.close()
        if attempt.head is not None:  # the platform has answered, whatever failed after the head
            answer = self._answered(attempt.head, body)
        assert answer is not None
        return Exchange(answer=answer, started_at=attempt.started_at, finished_at=self._clock.now().wall)

    def _answered(self, head: AnswerHead, body: bytes | None) -> Answered:
        try:
            seconds = _retry_after_seconds(head, self._clock.now().wall)
        except Exception as error:  # noqa: BLE001 - whatever it is, the status decides
            self._on_unexpected_error(error)
            seconds = None
        return Answered(status=head.status, retry_after_seconds=seconds, body=body)

    def _timed_out(self, attempt: Attempt) -> Answer:
        if attempt.started_at is None and attempt.connect_by == attempt.give_up_at:
            return NoConnectionYet(waited_seconds=asyncio.get_running_loop().time() - attempt.waits_since)
        if attempt.started_at is None:
            return Unreachable(detail=f"no connection within {self._connect_timeout_seconds:g} s{self._by}")
        return Lost(detail=f"no complete head within {self._timeout_seconds:g} s")


def _go_ahead() -> None:
    return None


def _failed(attempt: Attempt, detail: str) -> Answer:
    return Unreachable(detail=detail) if attempt.started_at is None else Lost(detail=detail)


def _verdict_on_key(answer: Answer) -> KeyVerdict:
    if not isinstance(answer, Answered):
        return KeyVerdict.UNCLEAR
    return KEY_VERDICTS.get(answer.status) or KEY_VERDICTS_BY_CLASS.get(answer.status // 100, KeyVerdict.UNCLEAR)


# ------------------------------------------------------------------------------------------------ reading an answer


def _body(response: httpx.Response, head: AnswerHead) -> bytes | None:
    """Return the whole body, decoded; None where it cannot be read to its end, or is larger than `MAX_BODY_BYTES`."""
    assert isinstance(response.stream, httpx.ByteStream)
    try:
        received = b"".join(response.stream)
    except httpx.ReadError:
        return None
    return _decoded(received, head.content_encoding)


def _decoded(received: bytes, encodings: str) -> bytes | None:
    """Return a body without its content encodings, None where they cannot be decoded. An empty body always can."""
    named = [encoding.strip().lower() for encoding in encodings.split(",")]
    match [encoding for encoding in named if encoding not in ("", "identity")]:
        case []:
            return received
        case _ if not received:
            return received
        case ["gzip" | "x-gzip"]:
            return _inflated(received, zlib.MAX_WBITS | 16)  # 16: with gzip's frame
        case ["deflate"]:  # by the standard in zlib's frame; some servers send it bare
            framed = _inflated(received, zlib.MAX_WBITS)
            return _inflated(received, -zlib.MAX_WBITS) if framed is None else framed
        case _:
            return None


def _inflated(received: bytes, window_bits: int) -> bytes | None:
    inflate = zlib.decompressobj(window_bits)
    try:
        body = inflate.decompress(received, MAX_BODY_BYTES + 1)
    except zlib.error:
        return None
    return body if inflate.eof and len(body) <= MAX_BODY_BYTES else None


def _retry_after_seconds(head: AnswerHead, now: Instant) -> float | None:
    """Return the seconds to wait, at least 0; None where the platform named none, or none that can be read.

    A date is compared with the answer's own `Date`, so that a wrong clock on one side does no harm.
    """
    said = head.retry_after.strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        until = _instant(said)
        if until is None:
            return None
        written_at = _instant(head.date)
        seconds = until - (now if written_at is None else written_at)
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _instant(date: str) -> float | None:
    """Return seconds since 1970; None where the text is no date, or its year or time zone is impossible."""
    try:
        parsed: datetime = parsedate_to_datetime(date[:MAX_DATE_CHARACTERS])
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, LookupError):  # the standard library's parser raises all of these
        return None

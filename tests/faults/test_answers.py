"""A complete head is an answer, whatever becomes of its body; and what is asked is what the platform documents."""

import gzip
import ssl
import zlib

import pytest

from consumer.core.platform.answer import Answered
from consumer.edge.platform.answer_content import MAX_BODY_BYTES
from tests.faults.harness import AMPLE_SECONDS, BODY, platform, post
from tests.faults.raw_server import Peer, RawServer, Script, after_the_request
from tests.faults.test_nothing_went_out import OK, answer_all, tls_server_and_trust

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

UNREADABLE: dict[str, Script] = {
    "half a body, then closed": after_the_request(HEAD + b'{"statusCode"', end=Peer.close),
    "half a body, then reset": after_the_request(HEAD, b'{"statusCode"', end=Peer.reset),
    "a head and nothing, then closed": after_the_request(HEAD, end=Peer.close),
    "chunks that stop, then closed": after_the_request(CHUNKED + b"5\r\nhello\r\n", end=Peer.close),
    "chunks without the last one's end, then closed": after_the_request(CHUNKED, b"2\r\n{}\r\n0\r\n", end=Peer.close),
    "a garbled chunk together with the head": after_the_request(CHUNKED + b"zz\r\nhello\r\n"),
    "a garbled chunk after the head": after_the_request(CHUNKED, b"zz\r\nhello\r\n"),
    "a chunk longer than it says": after_the_request(CHUNKED, b"5\r\nhello there\r\n0\r\n\r\n"),
    "a chunk that is larger than a body may be": after_the_request(CHUNKED, b"fffffffff\r\n"),
    "chunks that grow without end": after_the_request(CHUNKED, (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 17),
    "a size of a chunk without end": after_the_request(CHUNKED, b"5;" + b"x" * 40_000),
    "a trailer without end": after_the_request(CHUNKED, b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 5_000),
    "gzip that is none": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    ),
    "half of a gzip": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + gzip.compress(b"{}" * 50)[:12]
    ),
    "an encoding that nobody asked for": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"
    ),
    "a body that is too large": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1) + b" " * (MAX_BODY_BYTES + 1)
    ),
    "a body without end": after_the_request(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_BODY_BYTES * 2)),
    "a small gzip of a body that is too large": after_the_request(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10_000_000)),
        end=Peer.close,
    ),
}


@pytest.mark.parametrize("script", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_complete_head_is_an_answer_even_if_its_body_cannot_be_read(script: Script) -> None:
    async with RawServer(script) as server, platform(server.url) as client:
        exchange = await post(client)
        assert exchange.answer == Answered(status=200, retry_after_seconds=None, body=None)
        assert exchange.started_at is not None
        assert (server.requests, server.connections) == (1, 1)


async def test_a_body_that_does_not_come_in_time_does_not_undo_its_head() -> None:
    async with (
        RawServer(after_the_request(HEAD, b'{"statusCode"')) as server,
        platform(server.url, timeout_seconds=AMPLE_SECONDS) as client,
    ):
        assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=None)


def framed(body: bytes, *headers: bytes) -> bytes:
    return b"".join([b"HTTP/1.1 200 OK\r\n", *[line + b"\r\n" for line in headers], b"\r\n", body])


BARE_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
READABLE: dict[str, bytes] = {
    "with its length": framed(b"{}", b"Content-Length: 2"),
    "in chunks": framed(b"1\r\n{\r\n1;note=x\r\n}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "in chunks with a trailer": framed(b"2\r\n{}\r\n0\r\nX: y\r\n\r\n", b"Transfer-Encoding: chunked"),
    "up to the end of the connection": framed(b"{}"),
    "as gzip": framed(gzip.compress(b"{}"), b"Connection: close", b"Content-Encoding: GZip"),
    "as deflate": framed(zlib.compress(b"{}"), b"Content-Encoding: deflate"),
    "as bare deflate": framed(BARE_DEFLATE.compress(b"{}") + BARE_DEFLATE.flush(), b"Content-Encoding: deflate"),
    "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + framed(b"{}", b"Content-Length: 2"),
    "after early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + framed(b"{}", b"Content-Length: 2"),
    "by an old server": b"HTTP/1.0 200 OK\r\n\r\n{}",
    "with lines that end in a line feed alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "after empty lines": b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "without a word for its status": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "with a cookie that is larger than a line may be": framed(
        b"{}", b"Set-Cookie: a=" + b"c" * 20_000, b"Content-Length: 2"
    ),
    "with more lines than anybody counts": framed(b"{}", *[b"X-%d: y" % number for number in range(500)]),
    "with a line that is folded": framed(b"{}", b"X: a\r\n  b", b"Content-Length: 2"),
    "after a hint that is larger than a line may be": b"HTTP/1.1 103 Early Hints\r\nLink: <%b>\r\n\r\n"
    % (b"x" * 20_000)
    + framed(b"{}", b"Content-Length: 2"),
    "after a hint that is not by the book": b"HTTP/1.1 103 Early Hints\r\nno colon\r\n\r\n"
    + framed(b"{}", b"Content-Length: 2"),
    "with an encoding that changes nothing": framed(b"{}", b"Content-Encoding: identity", b"Content-Length: 2"),
    "with words that are no text": framed(b"{}", b"Content-Length: 2", b"X: \xff\xfe"),
    "with cookies": framed(b"{}", b"Content-Length: 2", b"Set-Cookie: a=b; Domain=\xff", b"Set-Cookie: c"),
    "followed by garbage": framed(b"{}garbage", b"Content-Length: 2"),
}


@pytest.mark.parametrize("answer", READABLE.values(), ids=READABLE.keys())
async def test_an_answer_is_read_however_it_is_framed(answer: bytes) -> None:
    async with RawServer(after_the_request(answer, end=Peer.close)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=b"{}")


@pytest.mark.parametrize("answer", READABLE.values(), ids=READABLE.keys())
async def test_an_answer_is_read_byte_by_byte(answer: bytes) -> None:
    parts = [answer[place : place + 1] for place in range(len(answer))]
    async with RawServer(after_the_request(*parts, end=Peer.close)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=b"{}")


async def test_a_garbled_body_is_found_out_at_once_even_if_head_and_body_meet_within_one_segment() -> None:
    cut = len(CHUNKED) - 2  # the head's end arrives together with the garbled chunk
    script = after_the_request(CHUNKED[:cut], CHUNKED[cut:] + b"zz\r\n")
    async with RawServer(script) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=None)


@pytest.mark.parametrize("status", [101, 204, 205, 304, 400, 401, 413, 429, 500, 503, 599, 999])
async def test_every_status_is_an_answer(status: int) -> None:
    head = b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status
    async with RawServer(after_the_request(head, end=Peer.close)) as server, platform(server.url) as client:
        answer = (await post(client)).answer
        assert isinstance(answer, Answered)
        assert answer.status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/elsewhere", "http://[broken", "gopher://x", "//evil.example/", "\\\\"])
async def test_a_redirect_is_an_answer_and_is_never_followed(status: int, location: str) -> None:
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        answer = (await post(client)).answer
        assert answer == Answered(status=status, retry_after_seconds=None, body=b"")
        assert (server.requests, server.connections) == (1, 1)


async def test_an_answer_that_comes_before_the_request_is_read_counts_and_its_connection_is_not_used_again() -> None:
    async def refuse_at_the_head(peer: Peer) -> None:
        await peer.head()
        peer.transport.pause_reading()
        peer.say(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n")
        await peer.released()

    async with RawServer(refuse_at_the_head) as server, platform(server.url, max_connections=1) as client:
        for number in range(1, 3):
            answer = (await post(client, BODY + b" " * 16_000_000)).answer
            assert answer == Answered(status=413, retry_after_seconds=None, body=b"")
            assert server.connections == number
        for peer in server.peers:
            peer.release()


async def test_an_answer_whose_body_was_not_read_to_its_end_costs_the_connection() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES * 3) + b" " * MAX_BODY_BYTES * 3

    async def answer_large(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(large)

    async with RawServer(answer_large) as server, platform(server.url, max_connections=1) as client:
        for number in range(1, 3):
            assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=None)
            assert server.connections == number


RETRY_AFTER: dict[str, float | None] = {
    "120": 120.0,
    " 7 ": 7.0,
    "0": 0.0,
    "1.5": 1.5,
    "-5": 0.0,
    "1e9": 86_400.0,
    "inf": 86_400.0,
    "nan": None,
    "soon": None,
    "Wed, 25 Nov 2026 10:00:30 GMT": 30.0,
    "Wed, 25 Nov 2026 09:00:00 GMT": 0.0,
    "Wed, 25 Nov 2099 09:00:00 GMT": 86_400.0,
    "Wed, 99 Nov 2026 10:00:30 GMT": None,
    "Wed, 25 Nov 2026 10:00:30": 30.0,
    "mi\u00e9, 25 nov 2026 10:00:30 GMT": 30.0,
    "\u0661\u0662": None,
    "9" * 5000: 86_400.0,
    "": None,
    ",": None,
    "3 ": 3.0,
    "Wed, 25 Nov 99999 10:00:30 GMT": None,
    "Wed, 25 Nov 99999999999999999999 10:00:30 GMT": None,
    "Wed, 25 Nov 0000 10:00:30 GMT": 0.0,
    "Mon, 01 Jan 0001 00:00:00 +2359": 0.0,
    "Fri, 31 Dec 9999 23:59:59 -2359": 86_400.0,
    "Wed, 25 Nov 2026 10:00:30 +9999999999": None,
    "Wed, 25 Nov 2026 10:00:30 -99999": None,
    "Wed, 25 Nov 2026 99:99:99 GMT": None,
    "Wed, 25 Nov 2026 10:00:30 GMT " + "x" * 5000: 30.0,
}


@pytest.mark.parametrize("said,seconds", RETRY_AFTER.items())
async def test_retry_after_is_seconds_or_a_date_by_the_answers_own_clock(said: str, seconds: float | None) -> None:
    head = (
        f"HTTP/1.1 429 Slow\r\nDate: Wed, 25 Nov 2026 10:00:00 GMT\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n"
    )
    async with RawServer(after_the_request(head.encode())) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=429, retry_after_seconds=seconds, body=b"")


async def test_retry_after_as_a_date_without_a_date_of_the_answer_goes_by_our_clock() -> None:
    head = b"HTTP/1.1 503 Off\r\nRetry-After: Thu, 01 Jan 1970 00:17:00 GMT\r\nContent-Length: 0\r\n\r\n"
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        answer = (await post(client)).answer  # the clock of these tests starts at 1000 s: 16 min 40 s
        assert isinstance(answer, Answered)
        assert answer.retry_after_seconds == pytest.approx(20.0, abs=5.0)


async def test_the_request_is_what_the_platform_documents() -> None:
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def write_down(peer: Peer) -> None:
        while True:
            heads.append(await peer.head())
            while len(peer.received) < len(BODY):
                await peer.news()
            bodies.append(bytes(peer.received))
            peer.received.clear()
            peer.say(OK)

    async with RawServer(write_down) as server, platform(server.url) as client:
        await post(client)
        await post(client)
    assert bodies == [BODY, BODY]
    first, *lines = heads[0].decode().strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert first == "POST /v2/sms/send/list?token=hidden-token HTTP/1.1"
    assert headers.pop("user-agent").startswith("campaign-consumer/")
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "authorization": "ServerKey s3cret-key",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate",
        "content-length": str(len(BODY)),
    }


async def test_certificates_are_verified_unless_told_otherwise() -> None:
    certificate, trust = tls_server_and_trust("127.0.0.1")
    assert trust.verify_mode is ssl.CERT_REQUIRED
    async with RawServer(answer_all, tls=certificate) as server:
        async with platform(server.url, tls=trust) as client:
            assert isinstance((await post(client)).answer, Answered)
        async with platform(server.url) as client:
            assert not isinstance((await post(client)).answer, Answered)
        assert server.requests == 1

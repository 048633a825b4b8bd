"""A complete head whose status line can be read is the truth, whatever stands in its other lines."""

import gzip

import pytest

from consumer.core.platform.answer import Answer, Answered, Lost, Unreachable
from consumer.edge.platform import client as platform_client
from consumer.edge.platform import http_wire
from tests.faults.harness import AMPLE_SECONDS, SHORT_SECONDS, platform, post
from tests.faults.raw_server import Peer, RawServer, Script, after_the_request
from tests.faults.test_nothing_went_out import OK

UNCLEAR: dict[str, bytes] = {
    "a length that is no number": b"Content-Length: ten",
    "a length that is negative": b"Content-Length: -2",
    "a length of a hundred digits": b"Content-Length: " + b"9" * 100,
    "a length said twice": b"Content-Length: 2\r\nContent-Length: 2",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3",
    "two lengths in one line": b"Content-Length: 2, 3",
    "two framings that contradict one another": b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    "a coding that nobody asked for": b"Transfer-Encoding: gzip, chunked",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "a line without a colon": b"Content-Length: 2\r\nhello there",
    "a line without a name": b"Content-Length: 2\r\n: hello",
    "a space in a name": b"Content-Length: 2\r\nX Y: z",
    "a space before the colon": b"Content-Length : 2",
    "a name that is no ASCII": b"Content-Length: 2\r\nX-Campa\xf1a: y",
    "a zero in a value": b"Content-Length: 2\r\nX: a\0b",
    "a carriage return in a value": b"Content-Length: 2\r\nX: a\rContent-Length: 3",
}
STATUSES = [200, 401, 403, 429, 503]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("lines", UNCLEAR.values(), ids=UNCLEAR.keys())
async def test_a_head_that_is_not_by_the_book_counts_by_its_status_line(lines: bytes, status: int) -> None:
    head = b"HTTP/1.1 %d Whatever\r\nRetry-After: 7\r\n%b\r\n\r\n{}" % (status, lines)
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=status, retry_after_seconds=7.0, body=None)
        await server.everybody_gone()  # what follows is not read
        assert server.connections == 1


LINES = [b"HTTP/1.2 200 OK", b"HTTP/2 200", b"HTTP/3.0 200 OK", b"HTTP/11.1 200 OK"]


@pytest.mark.parametrize("line", LINES)
async def test_a_version_that_nobody_knows_does_not_undo_the_status(line: bytes) -> None:
    head = line + b"\r\nContent-Length: 2\r\n\r\n{}"
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=None)
        await server.everybody_gone()


@pytest.mark.parametrize("name", [b"Date", b"Retry-After", b"Content-Encoding", b"Content-Type", b"Set-Cookie"])
@pytest.mark.parametrize("value", ["mi\u00e9, 25 nov 2026".encode(), "mi\u00e9".encode("latin-1"), b"\x80\xff", b""])
async def test_bytes_beyond_ascii_in_a_header_are_no_trouble(name: bytes, value: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n%b: %b\r\nContent-Length: 2\r\n\r\n{}" % (name, value)
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        answer = (await post(client)).answer
    assert isinstance(answer, Answered)
    assert (answer.status, answer.retry_after_seconds) == (200, None)
    assert answer.body == (None if name == b"Content-Encoding" and value else b"{}")


@pytest.mark.parametrize("date", ["Wed, 25 Nov 99999 10:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "\u00e9", "0"])
async def test_an_absurd_date_of_the_answer_does_not_undo_it(date: str) -> None:
    head = (
        f"HTTP/1.1 503 Off\r\nDate: {date}\r\nRetry-After: Wed, 25 Nov 2026 10:00:30 GMT\r\nContent-Length: 0\r\n\r\n"
    )
    async with RawServer(after_the_request(head.encode())) as server, platform(server.url) as client:
        answer = (await post(client)).answer
    assert isinstance(answer, Answered)
    assert (answer.status, answer.body) == (503, b"")


@pytest.mark.parametrize("status", [204, 205])
@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"gzip, br"])
async def test_an_answer_without_a_body_is_not_unreadable_whatever_its_encoding(status: int, encoding: bytes) -> None:
    head = b"HTTP/1.1 %d Gone\r\nContent-Encoding: %b\r\nContent-Length: 0\r\n\r\n" % (status, encoding)
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=status, retry_after_seconds=None, body=b"")


@pytest.mark.parametrize("lines", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"no colon\r\n"])
async def test_an_answer_that_never_has_a_body_ends_with_its_head(lines: bytes) -> None:
    head = b"HTTP/1.1 204 No Content\r\n%b\r\n" % lines
    async with RawServer(after_the_request(head)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=204, retry_after_seconds=None, body=b"")


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"br", b"zstd", b"gzip;q=1", b"\xff", b"chunked"])
async def test_an_encoding_that_cannot_be_read_leaves_the_status(encoding: bytes) -> None:
    body = gzip.compress(b"{}")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    async with RawServer(after_the_request(head + body)) as server, platform(server.url) as client:
        assert (await post(client)).answer == Answered(status=200, retry_after_seconds=None, body=None)


async def test_a_misdirected_request_is_asked_again_over_another_connection() -> None:
    async def misdirect_the_first(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(OK if peer.number else b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n")

    async with RawServer(misdirect_the_first) as server, platform(server.url) as client:
        for status, connections in ((421, 1), (200, 2), (200, 2)):
            answer = (await post(client)).answer
            assert isinstance(answer, Answered)
            assert (answer.status, server.connections) == (status, connections)


async def test_a_head_counts_although_the_time_is_over_before_its_body_has_come() -> None:
    head = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX: " + b"y" * 30_000 + b"\r\nContent-Length: 9\r\n\r\n"
    async with (
        RawServer(after_the_request(head)) as server,
        platform(server.url, timeout_seconds=AMPLE_SECONDS) as client,
    ):
        assert (await post(client)).answer == Answered(status=429, retry_after_seconds=7.0, body=None)


@pytest.mark.parametrize("cut", range(1, len(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n")))
async def test_every_beginning_of_a_head_is_a_lost_answer_and_no_more(cut: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"[:cut]
    async with RawServer(after_the_request(head, end=Peer.close)) as server, platform(server.url) as client:
        assert isinstance((await post(client)).answer, Lost)


def say_for_ever(line: bytes) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.say(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\n{}" % line)

    return script


@pytest.mark.parametrize("line", [b"", b"Keep-Alive: max=100\r\n", b"Keep-Alive: timeout=soon\r\n"])
async def test_an_idle_connection_is_closed_when_its_time_is_over(line: bytes) -> None:
    script = say_for_ever(line)
    async with RawServer(script) as server, platform(server.url, keep_alive_seconds=SHORT_SECONDS) as client:
        for number in range(1, 3):
            await post(client)
            await post(client)
            assert server.connections == number
            await server.everybody_gone()


@pytest.mark.parametrize("line", [b"Keep-Alive: timeout=0\r\n", b"keep-alive: max=5, TIMEOUT = 0\r\n"])
async def test_a_server_that_closes_sooner_than_we_is_obeyed(line: bytes) -> None:
    async with RawServer(say_for_ever(line)) as server, platform(server.url) as client:
        for _ in range(2):
            await post(client)
            await server.everybody_gone()
        assert server.connections == 2


async def test_a_server_that_keeps_connections_longer_than_we_is_believed() -> None:
    script = say_for_ever(b"Keep-Alive: timeout=30, max=100\r\n")
    async with RawServer(script) as server, platform(server.url, keep_alive_seconds=SHORT_SECONDS) as client:
        await post(client)
        assert not await server.peers[0].gone_within(3 * SHORT_SECONDS)
        await post(client)
        assert (server.connections, server.requests) == (1, 2)


async def test_a_connection_in_use_is_not_idle() -> None:
    async def take_longer_than_it_may_be_idle(peer: Peer) -> None:
        while True:
            await peer.request()
            if server.requests > 1:
                assert not await peer.gone_within(3 * SHORT_SECONDS)
            peer.say(OK)

    async with (
        RawServer(take_longer_than_it_may_be_idle) as server,
        platform(server.url, keep_alive_seconds=SHORT_SECONDS) as client,
    ):
        for _ in range(2):
            assert isinstance((await post(client)).answer, Answered)


@pytest.mark.parametrize("what", ["_body", "_retry_after_seconds"])
async def test_an_error_that_nobody_expected_does_not_undo_a_head(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    surprises: list[Exception] = []
    async with RawServer(say_for_ever(b"")) as server, platform(server.url, surprises=surprises) as client:
        with monkeypatch.context() as broken:
            broken.setattr(platform_client, what, stumble)
            answer = (await post(client)).answer
        assert isinstance(answer, Answered)
        assert (answer.status, answer.body) == (200, None if what == "_body" else b"{}")
        assert [type(error) for error in surprises] == [ZeroDivisionError]
        assert isinstance((await post(client)).answer, Answered)


@pytest.mark.parametrize("method,kind", [("must_be_fit", Unreachable), ("expect", Lost)])
async def test_an_error_that_nobody_expected_is_told_from_the_first_byte_on_apart(
    method: str, kind: type[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    surprises: list[Exception] = []
    async with RawServer(say_for_ever(b"")) as server, platform(server.url, surprises=surprises) as client:
        with monkeypatch.context() as broken:
            broken.setattr(http_wire.Wire, method, stumble)
            assert isinstance((await post(client)).answer, kind)
        assert [type(error) for error in surprises] == [ZeroDivisionError]
        assert isinstance((await post(client)).answer, Answered)

"""Faults between the first byte and a complete head: the attempt is lost, and never repeated."""

import asyncio

import pytest

from consumer.core.platform.answer import Answered, Lost
from consumer.edge.platform.answer_head import MAX_HEAD_BYTES
from tests.faults.harness import BODY, SHORT_SECONDS, Look, platform, post
from tests.faults.raw_server import Peer, RawServer, Script, after_the_request
from tests.faults.test_nothing_went_out import OK, answer_all, tls_server_and_trust


async def close_unread(peer: Peer) -> None:
    peer.transport.pause_reading()
    peer.close()


async def close_after_the_head_of_the_request(peer: Peer) -> None:
    await peer.head()
    peer.close()


async def reset_at_the_first_byte(peer: Peer) -> None:
    await peer.news()
    peer.reset()


async def drip_for_ever(peer: Peer) -> None:
    await peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\n")
    while not await peer.gone_within(SHORT_SECONDS / 10):
        peer.say(b"X: y\r\n")


LOST: dict[str, Script] = {
    "closed after the head of the request": close_after_the_head_of_the_request,
    "reset at the first byte": reset_at_the_first_byte,
    "closed after the request": after_the_request(end=Peer.close),
    "reset after the request": after_the_request(end=Peer.reset),
    "half a status line, then closed": after_the_request(b"HTTP/1.1 20", end=Peer.close),
    "half a head, then closed": after_the_request(b"HTTP/1.1 200 OK\r\nContent-Le", end=Peer.close),
    "a head without its last line end, then closed": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", end=Peer.close
    ),
    "half a head, then reset": after_the_request(b"HTTP/1.1 200 OK\r\n", end=Peer.reset),
    "garbage": after_the_request(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
    "garbage of zeros": after_the_request(bytes(4096)),
    "the greeting of a mail server": after_the_request(b"220 mail.example ESMTP\r\n"),
    "a head that grows without end": after_the_request(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000),
    "a head of lines without end": after_the_request(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000),
    "a complete head that is larger than any": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n"
    ),
    "a status of two digits": after_the_request(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    "a status of four digits": after_the_request(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    "another protocol": after_the_request(b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "empty lines, then closed": after_the_request(b"\r\n\r\n\r\n", end=Peer.close),
    "a head whose empty line is cut, then closed": after_the_request(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", end=Peer.close
    ),
    "only 100 Continue, then closed": after_the_request(b"HTTP/1.1 100 Continue\r\n\r\n", end=Peer.close),
    "only early hints, then closed": after_the_request(b"HTTP/1.1 103 Early Hints\r\n\r\n", end=Peer.close),
}


@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
async def test_without_a_complete_head_the_attempt_is_lost_and_never_repeated(script: Script) -> None:
    look = Look()
    async with RawServer(script) as server, platform(server.url) as client:
        exchange = await post(client, look=look)
        assert isinstance(exchange.answer, Lost), exchange
        await server.everybody_gone()
        assert server.received_bytes > 0
        assert (look.asked, server.connections) == (1, 1)


@pytest.mark.parametrize("script", [after_the_request(), after_the_request(b"HTTP/1.1 200 O"), drip_for_ever])
async def test_an_answer_that_does_not_come_in_time_is_lost(script: Script) -> None:
    async with RawServer(script) as server, platform(server.url, timeout_seconds=SHORT_SECONDS) as client:
        exchange = await post(client)
        assert exchange.answer == Lost(detail="no complete head within 0.15 s")
        await server.everybody_gone()
        assert (server.requests, server.connections) == (1, 1)


async def test_a_server_that_closes_at_once_is_never_taken_for_one_that_answered() -> None:
    async with RawServer(close_unread) as server, platform(server.url) as client:
        exchange = await post(client)
        assert not isinstance(exchange.answer, Answered)  # lost, or unreachable where its end came first
        assert server.connections == 1


async def test_a_request_that_the_server_stops_reading_is_lost_after_the_time_out() -> None:
    async def read_the_head_only(peer: Peer) -> None:
        await peer.head()
        peer.transport.pause_reading()
        await peer.released()

    async with RawServer(read_the_head_only) as server:
        async with platform(server.url, timeout_seconds=SHORT_SECONDS) as client:
            exchange = await post(client, BODY + b" " * 16_000_000)
            assert exchange.answer == Lost(detail="no complete head within 0.15 s")
        server.peers[0].release()


async def test_the_time_out_runs_from_the_first_byte_and_not_from_the_call() -> None:
    async def take_half_a_second(peer: Peer) -> None:
        while True:
            await peer.request()
            assert not await peer.gone_within(0.5)
            peer.say(OK)

    async with (
        RawServer(take_half_a_second) as server,
        platform(server.url, max_connections=1, timeout_seconds=0.9) as client,
        asyncio.TaskGroup() as tasks,
    ):
        both = [tasks.create_task(post(client)) for _ in range(2)]  # the second waits for the first one's connection
        for out in both:
            assert isinstance((await out).answer, Answered)
        assert (server.requests, server.connections) == (2, 1)


async def test_a_reused_connection_that_ends_after_the_request_is_lost_and_the_request_not_repeated() -> None:
    async def answer_once(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await peer.request()
        peer.close()

    async with RawServer(answer_once) as server, platform(server.url) as client:
        assert isinstance((await post(client)).answer, Answered)
        assert isinstance((await post(client)).answer, Lost)
        assert (server.requests, server.connections) == (2, 1)


async def test_over_tls_a_connection_that_ends_after_the_request_is_lost() -> None:
    certificate, trust = tls_server_and_trust("127.0.0.1")
    async with RawServer(after_the_request(end=Peer.close), tls=certificate) as server:
        async with platform(server.url, tls=trust) as client:
            assert isinstance((await post(client)).answer, Lost)
        assert (server.requests, server.connections) == (1, 1)


async def test_a_request_cancelled_after_its_first_byte_is_cancelled_and_leaves_no_connection_behind() -> None:
    async def never_answer_the_first(peer: Peer) -> None:
        if peer.number == 0:
            await peer.request()
            await peer.gone()
        else:
            await answer_all(peer)

    async with RawServer(never_answer_the_first) as server, platform(server.url, max_connections=1) as client:
        async with asyncio.TaskGroup() as tasks:
            out = tasks.create_task(post(client))
            await server.until_requests(1)
            out.cancel()
        assert out.cancelled()
        assert isinstance((await post(client)).answer, Answered)
        assert (server.requests, server.connections) == (2, 2)


async def test_requests_that_are_out_when_the_client_is_closed_are_lost() -> None:
    async with RawServer(after_the_request()) as server, platform(server.url) as client:
        async with asyncio.TaskGroup() as tasks:
            out = tasks.create_task(post(client))
            await server.until_requests(1)
            await client.close()
        assert isinstance(out.result().answer, Lost)

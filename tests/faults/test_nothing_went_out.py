"""Faults before the first byte: surely nothing was sent, and the client says so."""

import asyncio
import socket
import ssl

import pytest
import trustme

from consumer.core.platform.answer import Answered, Exchange, NoConnectionYet, Unreachable, Withheld, Withholding
from tests.faults.harness import AMPLE_SECONDS, LONG_SECONDS, SHORT_SECONDS, Look, platform, post
from tests.faults.raw_server import Peer, RawServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def answer_all(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.say(OK)


async def wait_for_the_client_to_go(peer: Peer) -> None:
    await peer.gone()


def unreachable(exchange: Exchange) -> str:
    assert isinstance(exchange.answer, Unreachable), exchange
    return exchange.answer.detail


async def test_a_refused_connection_is_unreachable_and_the_last_look_is_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    look = Look()
    async with platform(f"http://127.0.0.1:{port}/send?token=hidden-token") as client:
        assert unreachable(await post(client, look=look)) == "Connection refused"
    assert look.asked == 0


@pytest.mark.parametrize("host", ["nobody.invalid", f"{'a' * 64}.invalid", "nobody..invalid"])
async def test_a_host_that_does_not_exist_is_unreachable(host: str) -> None:
    async with platform(f"http://{host}/send?token=hidden-token") as client:
        unreachable(await post(client))


async def test_a_machine_that_does_not_answer_is_unreachable_after_the_connect_time_out() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):  # with its backlog full, Linux lets further connection requests wait
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        async with platform(
            f"http://127.0.0.1:{full.getsockname()[1]}/", connect_timeout_seconds=SHORT_SECONDS
        ) as client:
            assert unreachable(await post(client)) == "no connection within 0.15 s"


async def test_a_deadline_ends_the_wait_for_a_connection_and_the_request_is_not_said_to_be_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.edge.platform.client.PAST_DEADLINE_SECONDS", 0.05)
    release, look = asyncio.Event(), Look()

    async def answer_when_released(peer: Peer) -> None:
        while True:
            await peer.request()
            await release.wait()
            peer.say(OK)

    async with (
        RawServer(answer_when_released) as server,
        platform(server.url, max_connections=1) as client,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(post(client))
        await server.until_requests(1)
        for expires_in_seconds in (0.1, -1.0):
            exchange = await post(client, look=look, expires_in_seconds=expires_in_seconds)
            assert isinstance(exchange.answer, NoConnectionYet)
            assert 0.0 <= exchange.answer.waited_seconds < AMPLE_SECONDS
        assert (server.requests, look.asked) == (1, 0)
        release.set()
        assert isinstance((await first).answer, Answered)
        assert isinstance((await post(client, expires_in_seconds=LONG_SECONDS)).answer, Answered)


async def test_a_tls_handshake_that_never_ends_is_unreachable_and_no_request_went_out() -> None:
    async with RawServer(wait_for_the_client_to_go) as server:
        url = server.url.replace("http:", "https:")
        async with platform(url, connect_timeout_seconds=SHORT_SECONDS) as client:
            assert unreachable(await post(client)) == "no connection within 0.15 s"
            await server.until_connections(1)
            await server.everybody_gone()
        assert b"POST" not in server.peers[0].received


async def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async def speak_plain_http(peer: Peer) -> None:
        await peer.news()
        peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with RawServer(speak_plain_http) as server:
        async with platform(server.url.replace("http:", "https:")) as client:
            assert unreachable(await post(client)).startswith("TLS: ")
        assert b"POST" not in server.peers[0].received


async def test_a_connection_closed_during_the_tls_handshake_is_unreachable() -> None:
    async def close_at_the_first_byte(peer: Peer) -> None:
        await peer.news()
        peer.close()

    async with RawServer(close_at_the_first_byte) as server, platform(server.url.replace("http:", "https:")) as client:
        unreachable(await post(client))


def tls_server_and_trust(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return server, trust


async def test_a_certificate_that_nobody_vouches_for_is_unreachable_and_no_request_went_out() -> None:
    certificate, _ = tls_server_and_trust("127.0.0.1")
    async with RawServer(answer_all, tls=certificate) as server:
        async with platform(server.url) as client:
            assert "TLS: " in unreachable(await post(client))
        assert server.received_bytes == 0


async def test_a_certificate_for_another_host_is_unreachable_and_no_request_went_out() -> None:
    certificate, trust = tls_server_and_trust("another.example")
    async with RawServer(answer_all, tls=certificate) as server:
        async with platform(server.url, tls=trust) as client:
            assert "certificate is not valid for" in unreachable(await post(client))
        assert server.received_bytes == 0


async def test_over_tls_a_connection_is_used_again_and_one_that_the_server_closed_is_not() -> None:
    certificate, trust = tls_server_and_trust("127.0.0.1")
    async with RawServer(answer_all, tls=certificate) as server, platform(server.url, tls=trust) as client:
        for _ in range(3):
            assert isinstance((await post(client)).answer, Answered)
        assert server.connections == 1
        server.peers[0].close()
        await server.everybody_gone()
        assert isinstance((await post(client)).answer, Answered)
        assert (server.connections, server.requests) == (2, 4)


async def test_waiting_too_long_for_a_free_connection_is_unreachable() -> None:
    release = asyncio.Event()

    async def answer_when_told(peer: Peer) -> None:
        await peer.request()
        await release.wait()
        peer.say(OK)

    look = Look()
    async with (
        RawServer(answer_when_told) as server,
        platform(server.url, max_connections=1, connect_timeout_seconds=AMPLE_SECONDS) as client,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(post(client))
        await server.until_requests(1)
        assert unreachable(await post(client, look=look)) == "no connection within 1 s"
        assert (server.requests, server.connections, look.asked) == (1, 1, 0)
        release.set()
        assert isinstance((await first).answer, Answered)


@pytest.mark.parametrize("why", list(Withholding))
async def test_a_withheld_request_sends_nothing_and_its_connection_serves_the_next(why: Withholding) -> None:
    async with RawServer(answer_all) as server, platform(server.url, max_connections=1) as client:
        for _ in range(2):
            withheld = await post(client, look=Look(why))
            assert withheld.answer == Withheld(why=why)
            assert withheld.started_at is None
        assert isinstance((await post(client)).answer, Answered)
        assert isinstance((await post(client, look=Look(why))).answer, Withheld)
        assert isinstance((await post(client)).answer, Answered)
        assert (server.connections, server.requests) == (1, 2)


async def test_the_last_look_is_asked_once_with_the_connection_in_hand_and_the_clock_is_read_then() -> None:
    async with RawServer(answer_all) as server, platform(server.url) as client:
        connections: list[int] = []
        received: list[int] = []

        def look() -> None:
            connections.append(server.connections)
            received.append(server.received_bytes)

        exchange = await post(client)  # opens the connection
        exchange = await post(client, look=look)
        assert (connections, received) == ([1], [server.received_bytes // 2])
        assert exchange.started_at is not None
        assert exchange.started_at < exchange.finished_at


async def test_an_error_of_the_last_look_is_not_taken_for_one_of_the_network() -> None:
    def broken_look() -> None:
        raise ZeroDivisionError

    async with RawServer(answer_all) as server, platform(server.url) as client:
        with pytest.raises(ZeroDivisionError):
            await post(client, look=broken_look)
        assert server.received_bytes == 0
        assert isinstance((await post(client)).answer, Answered)


async def close_after_each_answer(peer: Peer) -> None:
    await peer.request()
    peer.say(OK)
    peer.close()


async def test_a_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    async with RawServer(close_after_each_answer) as server, platform(server.url) as client:
        for number in range(1, 5):
            assert isinstance((await post(client)).answer, Answered)
            assert (server.requests, server.connections) == (number, number)


async def test_a_connection_whose_end_the_event_loop_has_not_noticed_yet_is_replaced() -> None:
    look = Look()
    async with RawServer(answer_all) as server, platform(server.url) as client:
        await post(client)
        server.peers[0].finish_at_once()
        assert isinstance((await post(client, look=look)).answer, Answered)
        assert (server.connections, server.requests, look.asked) == (2, 2, 1)


@pytest.mark.parametrize("has_been_read", [True, False])
async def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next_ones(*, has_been_read: bool) -> None:
    unasked = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with RawServer(answer_all) as server, platform(server.url) as client:
        await post(client)
        server.peers[0].send_at_once(unasked)
        if has_been_read:
            await server.peers[0].delivered()
        answer = (await post(client)).answer
        assert isinstance(answer, Answered)
        assert (answer.status, server.connections, server.requests) == (200, 2, 2)


async def test_an_answer_followed_by_another_ends_its_connection() -> None:
    async def answer_twice(peer: Peer) -> None:
        await peer.request()
        peer.say(OK + b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await peer.gone()

    async with RawServer(answer_twice) as server, platform(server.url) as client:
        for number in range(1, 4):
            answer = (await post(client)).answer
            assert answer == Answered(status=200, retry_after_seconds=None, body=b"{}")
            assert (server.connections, server.requests) == (number, number)


async def test_a_server_that_speaks_before_it_is_asked_is_unreachable() -> None:
    async def speak_first(peer: Peer) -> None:
        peer.send_at_once(OK)
        await peer.gone()

    async with RawServer(speak_first) as server:
        async with platform(server.url) as client:
            exchange = await post(client)
            await server.everybody_gone()
        if isinstance(exchange.answer, Unreachable):  # else it was quicker than its words
            assert server.received_bytes == 0


async def test_a_request_cancelled_while_it_waits_for_a_connection_sends_nothing() -> None:
    async with (
        RawServer(wait_for_the_client_to_go) as server,
        platform(server.url.replace("http:", "https:")) as client,
    ):
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(post(client))
            await server.until_connections(1)
            waiting.cancel()
        assert waiting.cancelled()
        await server.everybody_gone()
        assert b"POST" not in server.peers[0].received

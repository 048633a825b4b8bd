"""Reaching the platform by a proxy: tunnels for https, forwarding for http, and proxies that do neither. Over real sockets."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable

import pytest
import trustme

from config import load
from config.proxy import Proxy, proxy_of
from consumer.core.platform.answer import Answered, Lost, Unreachable
from tests.faults.harness import SHORT_SECONDS, platform, post
from tests.faults.raw_server import Peer, RawServer
from tests.faults.tunnels import Tunnels

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BASIC = "Proxy-Authorization: Basic " + b64encode(b"us er:pa:ss").decode()


def by(address: str) -> Proxy:
    """What a setting makes of an address, and of user and password before it."""
    settings = {"CAMPAIGN_API__URL": "https://eu.example.com/send", "CAMPAIGN_API__SERVER_KEY": "k"}
    found = proxy_of(load(None, settings | {"CAMPAIGN_API__PROXY": f"http://{address}"}), {})
    assert found is not None
    return found


async def answer_all(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.say(OK)


@pytest.fixture(scope="module")
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority, server, trust = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trust)
    return server, trust


async def test_an_https_platform_is_reached_by_a_tunnel_which_is_used_again(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    certificate, trust = certificates
    tunnels = Tunnels()
    async with RawServer(answer_all, tls=certificate) as server, RawServer(tunnels) as proxy:
        way = by(f"us%20er:pa%3Ass@127.0.0.1:{proxy.port}")
        async with platform(server.url, tls=trust, proxy=way) as client:
            for _ in range(3):
                exchange = await post(client)
                assert exchange.answer == Answered(status=200, retry_after_seconds=None, body=b"{}")
                assert exchange.started_at is not None
        assert (server.connections, server.requests) == (1, 3)
    (head,) = tunnels.heads
    lines = head.split("\r\n")
    assert lines[0] == f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"
    assert {f"Host: 127.0.0.1:{server.port}", BASIC} <= set(lines)
    assert "ServerKey" not in head


async def test_a_tunnel_that_breaks_after_the_first_byte_leaves_a_lost_answer(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async def take_and_go(peer: Peer) -> None:
        await peer.request()
        peer.close()

    certificate, trust = certificates
    async with RawServer(take_and_go, tls=certificate) as server, RawServer(Tunnels()) as proxy:
        way = by(f"127.0.0.1:{proxy.port}")
        async with platform(server.url, tls=trust, proxy=way) as client:
            assert isinstance((await post(client)).answer, Lost)


async def test_a_stranger_at_the_end_of_a_tunnel_gets_no_request(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    certificate, _ = certificates
    async with RawServer(answer_all, tls=certificate) as server, RawServer(Tunnels()) as proxy:
        async with platform(server.url, proxy=by(f"127.0.0.1:{proxy.port}")) as client:
            answer = (await post(client)).answer
        assert isinstance(answer, Unreachable)
        assert answer.detail.startswith("TLS: ")
        assert server.received_bytes == 0


async def test_an_http_platform_is_reached_by_forwarding_in_absolute_form() -> None:
    heads: list[str] = []

    async def forward(peer: Peer) -> None:
        while True:
            head = await peer.head()
            heads.append(head.decode())
            await peer.body_after(head)
            peer.say(OK)

    async with RawServer(forward) as proxy:
        way = by(f"us%20er:pa%3Ass@127.0.0.1:{proxy.port}")
        async with platform("http://eu.example.com:8080/v2/send?a=b", proxy=way) as client:
            assert isinstance((await post(client)).answer, Answered)
            assert isinstance(await client.ask_status(), Answered)
        assert proxy.connections == 1
    sent, asked = (head.split("\r\n") for head in heads)
    assert sent[0] == "POST http://eu.example.com:8080/v2/send?a=b HTTP/1.1"
    assert asked[0] == "GET http://eu.example.com:8080/v1/status HTTP/1.1"
    assert {"Host: eu.example.com:8080", BASIC} <= set(sent) & set(asked)


def saying(words: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def say(peer: Peer) -> None:
        await peer.head()
        peer.say(words)
        peer.close()

    return say


@pytest.mark.parametrize(
    "words, detail",
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "it answered 502 to CONNECT"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", "it answered 403 to CONNECT"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", "it answered 302 to CONNECT"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what came back to CONNECT is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "what came back to CONNECT is no HTTP"),
        (b"", "it closed the connection"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_told_by_name_and_nothing_went_out(words: bytes, detail: str) -> None:
    async with RawServer(saying(words)) as proxy:
        way = by(f"me:pa%3Ass@127.0.0.1:{proxy.port}")
        async with platform("https://eu.example.com/send", proxy=way) as client:
            answer = (await post(client)).answer
        assert answer == Unreachable(detail=f"proxy 127.0.0.1:{proxy.port} (CAMPAIGN_API__PROXY): {detail}")
        assert proxy.requests == 1


async def test_a_proxy_that_wants_a_password_stops_dispatch_as_a_407_and_nothing_went_out() -> None:
    tunnels = Tunnels(wants_password=True)
    async with RawServer(tunnels) as proxy:
        async with platform("https://eu.example.com/send", proxy=by(f"127.0.0.1:{proxy.port}")) as client:
            exchange = await post(client)
        assert exchange.answer == Answered(status=407, retry_after_seconds=None, body=b"")
        assert exchange.started_at is None
    (head,) = tunnels.heads
    assert head.startswith("CONNECT eu.example.com:443 HTTP/1.1\r\n")
    assert "\r\nHost: eu.example.com:443\r\n" in head
    assert "Proxy-Authorization" not in head


async def test_a_proxy_that_says_nothing_is_waited_for_no_longer_than_for_a_connection() -> None:
    async def hang(peer: Peer) -> None:
        await peer.head()
        await peer.gone()

    async with RawServer(hang) as proxy:
        way = by(f"127.0.0.1:{proxy.port}")
        async with platform("https://eu.example.com/send", proxy=way, connect_timeout_seconds=SHORT_SECONDS) as client:
            answer = (await post(client)).answer
        assert answer == Unreachable(detail=f"no connection within 0.15 s by {way}")
        await proxy.everybody_gone()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_told_by_name(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        way = by(f"127.0.0.1:{taken.getsockname()[1]}")
    async with platform(f"{scheme}://eu.example.com/send", proxy=way) as client:
        assert (await post(client)).answer == Unreachable(detail=f"{way}: Connection refused")

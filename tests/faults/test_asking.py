"""What `check --connect` asks the platform: whether it is there, and whether key and address are right."""

import socket

import pytest
from pydantic import SecretStr

from consumer.core.platform.answer import Answered, Lost, Unreachable
from consumer.edge.platform.client import KeyVerdict, PlatformClient
from tests.faults.harness import KEY, CountingClock, platform
from tests.faults.raw_server import Peer, RawServer

STATUSES = {
    KeyVerdict.FINE: [200, 202, 400, 422],
    KeyVerdict.REFUSED: [401, 403],
    KeyVerdict.WRONG_URL: [301, 302, 307, 308, 404, 405, 410],
    KeyVerdict.UNPAID: [402],
    KeyVerdict.PROXY_REFUSES: [407],
    KeyVerdict.UNCLEAR: [408, 413, 415, 429, 500, 502, 503, 504],
}


@pytest.mark.parametrize("verdict,status", [(verdict, status) for verdict, all_ in STATUSES.items() for status in all_])
async def test_asking_for_the_key_texts_nobody_and_tells_key_from_address(verdict: KeyVerdict, status: int) -> None:
    bodies: list[bytes] = []

    async def answer(peer: Peer) -> None:
        bodies.append(await peer.request())
        peer.say(b"HTTP/1.1 %d Whatever\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % status)
        await peer.gone()

    async with RawServer(answer) as server, platform(server.url) as client:
        check = await client.ask_key()
    assert check.verdict is verdict
    assert isinstance(check.answer, Answered)
    assert check.answer.status == status
    assert bodies == [b'{"contacts":[]}']


async def test_without_an_answer_nothing_is_said_about_the_key() -> None:
    async def close(peer: Peer) -> None:
        await peer.request()
        peer.close()

    async with RawServer(close) as server, platform(server.url) as client:
        check = await client.ask_key()
    assert check.verdict is KeyVerdict.UNCLEAR
    assert isinstance(check.answer, Lost)


async def test_the_status_is_asked_at_the_root_of_the_host_and_without_the_key() -> None:
    heads: list[str] = []

    async def answer(peer: Peer) -> None:
        heads.append((await peer.head()).decode())
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await peer.gone()

    async with RawServer(answer) as server, platform(server.url) as client:
        assert await client.ask_status() == Answered(status=200, retry_after_seconds=None, body=b"{}")
    (head,) = heads
    assert head.startswith("GET /v1/status HTTP/1.1\r\n")
    assert "authorization" not in head.lower()
    assert KEY not in head


async def test_a_platform_that_is_not_there_has_no_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with platform(f"http://127.0.0.1:{port}/v2/sms/send/list") as client:
        assert await client.ask_status() == Unreachable(detail="Connection refused")


@pytest.mark.parametrize("key", ["s3cret\n", "s3cr\u00e9t", "s3\r\ncret: x", "\x00"])
async def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the server key holds a character") as mistake:
        PlatformClient(
            url="http://127.0.0.1/",
            server_key=SecretStr(key),
            timeout_seconds=1.0,
            connect_timeout_seconds=1.0,
            keep_alive_seconds=1.0,
            max_connections=1,
            on_unexpected_error=lambda _error: None,
            clock=CountingClock(),
        )
    assert "s3cr" not in str(mistake.value)

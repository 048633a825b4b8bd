"""Promises about the stream of statuses: one a second for all who listen, bounded, never in a shutdown's way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import httpx
import orjson
import pytest

from consumer.edge.http_server import HttpServer
from consumer.edge.status_stream import MAX_CLIENTS
from tests.edge.http_service import Service


async def events(client: httpx.AsyncClient) -> AsyncGenerator[bytes, None]:
    async with client.stream("GET", "/status/stream") as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield line.removeprefix("data: ").encode()


async def test_the_status_comes_at_once_and_again_when_it_has_changed(
    client: httpx.AsyncClient, service: Service
) -> None:
    async with contextlib.aclosing(events(client)) as stream:
        assert orjson.loads(await anext(stream)) == orjson.loads(orjson.dumps(service.status))
        service.status = {"state": "draining"}
        assert orjson.loads(await anext(stream)) == {"state": "draining"}


async def test_however_many_listen_the_status_is_computed_once_a_second(
    client: httpx.AsyncClient, service: Service
) -> None:
    streams = [events(client) for _ in range(5)]
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    for _ in range(2):
        for stream in streams:
            await anext(stream)
    seconds = loop.time() - began_at
    for stream in streams:
        await stream.aclose()
    assert service.asked <= int(seconds) + 2, "once for each second that was begun"


async def test_one_listener_too_many_is_told_to_ask_instead(client: httpx.AsyncClient) -> None:
    streams = [events(client) for _ in range(MAX_CLIENTS)]
    for stream in streams:
        await anext(stream)
    async with asyncio.timeout(5):
        answer = await client.get("/status/stream")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert (await client.get("/status")).status_code == 200
    for stream in streams:
        await stream.aclose()


async def test_a_shutdown_ends_the_streams_at_once(client: httpx.AsyncClient, server: HttpServer) -> None:
    stream = events(client)
    await anext(stream)
    async with asyncio.timeout(0.9):
        await server.stop()
    async with asyncio.timeout(0.9):
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert [event async for event in stream] == []


async def test_a_status_that_fails_ends_the_stream_and_not_the_service(
    client: httpx.AsyncClient, service: Service
) -> None:
    stream = events(client)
    await anext(stream)
    service.broken = RuntimeError("no")
    with pytest.raises((StopAsyncIteration, httpx.RemoteProtocolError)):
        await anext(stream)
    service.broken = None
    assert (await client.get("/status")).status_code == 200

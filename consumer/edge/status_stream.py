"""`GET /status/stream`: the status once a second, as server-sent events. Computes it once for all who listen."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from aiohttp import web

EVERY_SECONDS: Final = 1.0
MAX_CLIENTS: Final = 16  # people with the page open; further ones get 503, and their pages ask /status instead
RETRY_MS: Final = 2_000

HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # nginx would collect events otherwise
}


class StatusStream:
    """Hands the status out, tick by tick. A client that reads slowly misses ticks and holds up nobody."""

    def __init__(self, status: Callable[[], Mapping[str, object]]) -> None:
        self._status = status
        self._clients = 0
        self._tick = -1
        self._event = b""
        self._stopped = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether another client is turned away."""
        return self._clients >= MAX_CLIENTS

    def stop(self) -> None:
        """End all streams: a shutdown does not wait for clients."""
        self._stopped.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Write events until the client leaves or the server stops."""
        answer = web.StreamResponse(headers=HEADERS)
        self._clients += 1
        try:
            await answer.prepare(request)
            if request.method == "HEAD":
                return answer
            await answer.write(b"retry: %d\n\n" % RETRY_MS)
            await self._write_events(answer)
        except ConnectionError:
            pass  # it has left
        finally:
            self._clients -= 1
        return answer

    async def _write_events(self, answer: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopped.is_set():
            await answer.write(self._latest(int(loop.time() / EVERY_SECONDS)))
            next_at = (int(loop.time() / EVERY_SECONDS) + 1) * EVERY_SECONDS
            try:
                async with asyncio.timeout_at(next_at):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    def _latest(self, tick: int) -> bytes:
        if tick != self._tick:
            self._event = b"data: " + orjson.dumps(self._status()) + b"\n\n"
            self._tick = tick
        return self._event

"""A server that does to each connection what a test tells it to, and counts what it got. Speaks no HTTP by itself."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, cast

CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")


class Peer(asyncio.Protocol):
    """One connection, as the server sees it."""

    transport: asyncio.Transport

    def __init__(self, server: "RawServer") -> None:
        self._server = server
        self._news = asyncio.Event()
        self.received = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._released = asyncio.Event()
        self.is_gone = False
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's under TLS says it is none
        self._server.took(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._server.received_bytes += len(data)
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # however it ended, it is gone
        self.is_gone = True
        self._room.set()
        self._released.set()
        self._news.set()
        self._server.tell()

    async def news(self) -> None:
        """Wait until something came that was not waited for yet, or the client went away."""
        await self._news.wait()
        self._news.clear()

    async def head(self) -> bytes:
        """Take the head of the next request, nothing of its body."""
        while (end := self.received.find(b"\r\n\r\n")) < 0:
            if self.is_gone:
                raise ConnectionResetError
            await self.news()
        head = bytes(self.received[: end + 4])
        del self.received[: end + 4]
        self._server.requests += 1
        self._server.tell()
        return head

    async def request(self) -> bytes:
        """Take the next request; return its body."""
        return await self.body_after(await self.head())

    async def body_after(self, head: bytes) -> bytes:
        """Take the body of the request whose head was taken."""
        length = CONTENT_LENGTH.search(head)
        size = int(length[1]) if length else 0
        while len(self.received) < size:
            if self.is_gone:
                raise ConnectionResetError
            await self.news()
        body = bytes(self.received[:size])
        del self.received[:size]
        return body

    def say(self, data: bytes) -> None:
        if self.is_gone:
            raise ConnectionResetError
        self.transport.write(data)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def delivered(self) -> None:
        """Let the client see what was said so far, apart from what comes next."""
        await self._room.wait()
        loop = asyncio.get_running_loop()
        turned = asyncio.Event()
        loop.call_soon(loop.call_soon, loop.call_soon, turned.set)
        await turned.wait()

    def release(self) -> None:
        """End a script that waits for nothing else."""
        self._released.set()

    async def released(self) -> None:
        await self._released.wait()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        while not self.is_gone:
            await self.news()

    async def gone_within(self, seconds: float) -> bool:
        """Whether the client closes the connection within `seconds`: what paces a server that is slow on purpose."""
        try:
            async with asyncio.timeout(seconds):
                await self.gone()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """Close with RST: the other side loses what it has not read yet."""
        if self.is_gone:
            return
        self.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def finish_at_once(self) -> None:
        """Send FIN now, not when the loop turns: the kernel of the other side knows it before its event loop does."""
        twin = socket.socket(fileno=os.dup(self.socket().fileno()))
        twin.shutdown(socket.SHUT_WR)
        twin.close()

    def send_at_once(self, data: bytes) -> None:
        """Send now, not when the loop turns."""
        twin = socket.socket(fileno=os.dup(self.socket().fileno()))
        twin.send(data)
        twin.close()

    def socket(self) -> socket.socket:
        found: socket.socket = self.transport.get_extra_info("socket")
        return found


Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """Runs `script` for each connection. On leaving, every connection is gone and every script is over."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._tasks = asyncio.TaskGroup()
        self._news = asyncio.Event()
        self.peers: list[Peer] = []
        self.requests = 0
        """Heads of requests that came in whole."""
        self.received_bytes = 0
        """Of requests, as plain text."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for peer in self.peers:
            peer.transport.abort()
        await self._tasks.__aexit__(kind, error, trace)

    def took(self, peer: Peer) -> None:
        peer.number = len(self.peers)
        self.peers.append(peer)
        self._tasks.create_task(self._serve(peer))
        self.tell()

    async def _serve(self, peer: Peer) -> None:
        with contextlib.suppress(ConnectionResetError):  # the client went away before the script was through
            await self._script(peer)

    def tell(self) -> None:
        self._news.set()

    async def until_requests(self, count: int) -> None:
        """Wait until the heads of so many requests are in."""
        while self.requests < count:
            self._news.clear()
            await self._news.wait()

    async def until_connections(self, count: int) -> None:
        """Wait until so many connections were made."""
        while self.connections < count:
            self._news.clear()
            await self._news.wait()

    async def everybody_gone(self) -> None:
        """Wait until every connection is closed from the other side: only then is it certain what was sent."""
        for peer in self.peers:
            while not peer.is_gone:
                self._news.clear()
                await self._news.wait()

    @property
    def connections(self) -> int:
        return len(self.peers)

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/v2/sms/send/list?token=hidden-token"


def after_the_request(*answer: bytes, end: Callable[[Peer], None] | None = None) -> Script:
    """Take the request whole, say `answer` part by part, and end the connection; without an end, wait for the client's."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for part in answer:
            peer.say(part)
            await peer.delivered()
        if end is not None:
            end(peer)
        await peer.gone()

    return script

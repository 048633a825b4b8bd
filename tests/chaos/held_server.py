"""A way to a server that is held: connections wait until it is opened. Reads nothing."""

import asyncio
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class HeldServer:
    """Use as `async with Door(url) as held`: `held.url` leads where `url` does, once `open` was called."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._first = socket.create_connection(self._socket.getsockname())  # it takes the only place there is
        self._server: asyncio.Server | None = None
        self._visitors: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address on this side."""
        host, port = self._socket.getsockname()
        return urlunsplit(self._parts._replace(netloc=f"{host}:{port}"))

    async def open(self) -> None:
        """Let everybody in who waits, as soon as the system knocks again for them: in seconds."""
        self._server = await asyncio.start_server(self._visited, sock=self._socket)
        self._first.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._first.close()
        if self._server is None:
            self._socket.close()
        else:
            self._server.close()
        for visitor in self._visitors:
            visitor.cancel()
        if self._visitors:
            await asyncio.wait(self._visitors)

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        us = asyncio.current_task()
        assert us is not None
        self._visitors.add(us)
        with suppress(asyncio.CancelledError, OSError):
            there, back = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_carry(reader, back))
                    both.create_task(_carry(there, writer))
            finally:
                back.transport.abort()
        writer.transport.abort()
        self._visitors.discard(us)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

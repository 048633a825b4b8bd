"""Stands between Kafka's clients and one broker: passes whole messages on, or holds those that a test names.

Understands of the protocol where a message ends, what it asks for, and which answer belongs to which question.
"""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import TracebackType
from typing import Self


class Api(IntEnum):
    """What a client asks for: the protocol's own numbers."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    OFFSET_COMMIT = 8
    END_TRANSACTION = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A client's message, without its length."""

    api: int
    correlation_id: int
    frame: bytes

    def says(self, api: Api, words: str) -> bool:
        """Whether it asks for this and these words stand in it as they are: a topic's name, a journal entry's kind."""
        return self.api == api and words.encode() in self.frame


class What(Enum):
    """What of a matching exchange is held."""

    QUESTION = "the broker never hears of it"
    ANSWER = "the broker does it, and the client never hears of it"


Matches = Callable[[Question], bool]


@dataclass(slots=True, kw_only=True, eq=False)
class Hold:
    """Exchanges that are held from the first one on that matches; all behind it on its connection wait, too."""

    matches: Matches
    what: What
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first one is held."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def here(self) -> None:
        """Hold the message that asks for this until the test lets go."""
        self.struck.set()
        await self.released.wait()


class KafkaProxy:
    """Use as `async with KafkaProxy(listen="127.0.0.1:1234", broker="127.0.0.1:9092") as proxy`."""

    def __init__(self, *, listen: str, broker: str) -> None:
        self.address = listen
        self._broker = broker
        self._server: asyncio.Server | None = None
        self._holds: list[Hold] = []
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        host, port = self.address.rsplit(":", 1)
        self._server = await asyncio.start_server(self._connected, host, int(port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    def hold(self, what: What, matches: Matches) -> Hold:
        """Hold what matches, from now on."""
        hold = Hold(matches=matches, what=what)
        self._holds.append(hold)
        return hold

    def stall(self) -> None:
        """Let nothing through, in either direction; connections stay open."""
        self._flows.clear()

    def release(self) -> None:
        """Let everything through that is held, in its order."""
        for hold in self._holds:
            hold.released.set()
        self._holds.clear()
        self._flows.set()

    async def cut(self) -> None:
        """Close every connection, and drop what is held: it never arrives."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        if connections:
            await asyncio.wait(connections)
        self._holds.clear()
        self._flows.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        us = asyncio.current_task()
        assert us is not None
        self._connections.add(us)
        with suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.transport.abort()
        self._connections.discard(us)

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        host, port = self._broker.rsplit(":", 1)
        from_broker, to_broker = await asyncio.open_connection(host, int(port))
        held_answers: dict[int, Hold] = {}

        async def questions() -> None:
            while True:
                frame = await _frame(from_client)
                api, _version, correlation_id = struct.unpack_from(">hhi", frame)
                question = Question(api=api, correlation_id=correlation_id, frame=frame)
                hold = next((hold for hold in self._holds if hold.matches(question)), None)
                if hold is not None and hold.what is What.ANSWER:
                    held_answers[correlation_id] = hold
                elif hold is not None:
                    await hold.here()
                await self._pass(to_broker, frame)

        async def answers() -> None:
            while True:
                frame = await _frame(from_broker)
                (correlation_id,) = struct.unpack_from(">i", frame)
                hold = held_answers.pop(correlation_id, None)
                if hold is not None:
                    await hold.here()
                await self._pass(to_client, frame)

        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(questions())
                both.create_task(answers())
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one side is gone, and so is the other
        finally:
            to_broker.transport.abort()

    async def _pass(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        await self._flows.wait()
        writer.write(struct.pack(">i", len(frame)) + frame)
        await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)

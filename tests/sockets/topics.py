"""Kafka in memory, as the service's ports see it: one member has every partition, and nothing ever fails."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from consumer.core.terms import JournalOffset, Offset, Partition
from consumer.service.ports import Committed, ControlRead, Entry, PlainEntry, PlainMessage

RECORDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the events topic."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Events:
    """The events topic, and the one member that reads it."""

    member = "alone"
    away_seconds = 0.0

    def __init__(self, *, partitions: int) -> None:
        self._logs: dict[Partition, list[Record]] = {Partition("events", number): [] for number in range(partitions)}
        self._positions: dict[Partition, Offset] = {}
        self._read: set[Partition] = set()
        self._commits: dict[Partition, Committed] = {}
        self._published = asyncio.Event()

    def publish(
        self, documents: Iterable[Mapping[str, object]], *, timestamp_ms: int, partition: int = 0
    ) -> list[tuple[int, int]]:
        """Append events; return where each stands: partition and offset."""
        log = self._logs[Partition("events", partition)]
        first = len(log)
        for offset, document in enumerate(documents, start=first):
            log.append(Record(offset=offset, timestamp=timestamp_ms, value=orjson.dumps(document)))
        self._published.set()
        return [(partition, offset) for offset in range(first, len(log))]

    async def start(
        self,
        *,
        on_assigned: Callable[[Iterable[Partition]], None],
        on_revoked: Callable[[Iterable[Partition]], Awaitable[None]],  # noqa: ARG002 - nothing is ever taken back
    ) -> None:
        on_assigned(self._logs)

    async def fetch(self, *, max_records: int, timeout_seconds: float) -> Mapping[Partition, Sequence[Record]]:
        self._published.clear()
        found = self._available(min(max_records, RECORDS_AT_ONCE))
        if not found:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._published.wait()
            except TimeoutError:
                return {}
            found = self._available(min(max_records, RECORDS_AT_ONCE))
        return found

    def _available(self, room: int) -> dict[Partition, Sequence[Record]]:
        found: dict[Partition, Sequence[Record]] = {}
        for partition in sorted(self._read):
            position = self._positions[partition]
            records = self._logs[partition][position : position + room]
            if records:
                found[partition] = records
                self._positions[partition] = Offset(position + len(records))
                room -= len(records)
        return found

    async def read_again(self, partition: Partition, start: Offset, stop: Offset) -> tuple[Sequence[Record], Offset]:
        return self._logs[partition][start:stop], stop

    def seek(self, partition: Partition, offset: Offset) -> None:
        self._positions[partition] = offset

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._read.difference_update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self._read.update(partitions)

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self._logs)

    def partition_count(self) -> int:
        return len(self._logs)

    def unreadable(self) -> Mapping[str, str]:
        return {}

    def passed(self) -> Mapping[Partition, Offset]:
        return {}

    def truncated(self) -> Mapping[Partition, str]:
        return {}

    async def commit(self, offsets: Mapping[Partition, Committed], *, deadline_seconds: float) -> bool:  # noqa: ARG002
        self._commits.update(offsets)
        return True

    async def committed(self, partition: Partition) -> Committed | None:
        return self._commits.get(partition)

    async def log_bounds(self, partition: Partition) -> tuple[Offset, Offset]:
        return Offset(0), Offset(len(self._logs[partition]))

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        return {partition: Offset(len(self._logs[partition])) for partition in partitions}

    async def first_timestamp_ms(self, partition: Partition, start: Offset) -> int | None:
        records = self._logs[partition][start : start + 1]
        return records[0].timestamp if records else None

    async def read_one(self, partition: Partition, offset: Offset) -> Record | None:
        records = self._logs[partition][offset : offset + 1]
        return records[0] if records else None

    async def stop(self) -> None:
        """There is no group to leave."""


class Journal:
    """The journal topics."""

    def __init__(self) -> None:
        self._logs: dict[Partition, list[bytes]] = {}

    def _log(self, partition: Partition) -> list[bytes]:
        return self._logs.setdefault(partition, [])

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def append(self, partition: Partition, values: Sequence[bytes]) -> JournalOffset:
        log = self._log(partition)
        base = JournalOffset(len(log))
        log.extend(values)
        return base

    async def read(self, partition: Partition, start: JournalOffset, stop: JournalOffset) -> Sequence[Entry]:
        found = enumerate(self._log(partition)[start:stop], start=start)
        return [Entry(offset=JournalOffset(offset), timestamp_ms=0, value=value) for offset, value in found]

    async def each(
        self,
        partition: Partition,
        start: JournalOffset,
        stop: JournalOffset,
        take: Callable[[Sequence[PlainEntry]], Awaitable[None]],
    ) -> None:
        found = enumerate(self._log(partition)[start:stop], start=start)
        await take([(JournalOffset(offset), value) for offset, value in found])

    async def read_one(self, partition: Partition, at: JournalOffset) -> bytes | None:
        found = self._log(partition)[at : at + 1]
        return found[0] if found else None

    async def bounds(self, partition: Partition) -> tuple[JournalOffset, JournalOffset]:
        return JournalOffset(0), JournalOffset(len(self._log(partition)))

    async def offset_at(self, partition: Partition, timestamp_ms: int) -> JournalOffset | None:  # noqa: ARG002
        return JournalOffset(0) if self._log(partition) else None

    async def stop(self) -> None:
        """There is nothing to close."""


class ControlTopic:
    """A control topic in which nobody has ever said anything."""

    async def read(self, position: int) -> ControlRead:
        return ControlRead(records=[], end=position)

    async def stop(self) -> None:
        """There is nothing to close."""


class ResultsTopic:
    """The results by the place of their records; `grown` is set whenever there are more."""

    def __init__(self) -> None:
        self.at: dict[tuple[int, int], dict[str, object]] = {}
        self.grown = asyncio.Event()

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def publish(self, topic: str, partition: int | None, messages: Sequence[PlainMessage]) -> None:
        assert (topic, partition) == ("results", partition), "no event of these tests is invalid"
        for _, value, _ in messages:
            result = orjson.loads(value or b"")
            place = (result["source"]["partition"], result["source"]["offset"])
            assert place not in self.at, f"the record at {place} has two results"
            self.at[place] = result
        self.grown.set()

    async def stop(self) -> None:
        """There is nothing to close."""

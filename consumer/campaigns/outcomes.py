"""What became of events, from the results topic: new results as they come, and the past piece by piece. Writes nothing."""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

PIECE_RECORDS = 20_000
"""Of the past, in one partition and one look: a fraction of a second."""


class ResultLogs(Protocol):
    """Whole logs, as anybody may read them."""

    async def partitions(self, topic: str) -> int: ...

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]: ...

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None: ...

    def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[Any]]: ...


@dataclass(slots=True)
class _Range:
    low: int
    """Read down to here."""
    high: int
    """And up to here."""
    floor: int
    """What is older was published before any of these events could be."""


class Outcomes:
    """The outcomes of some events. A repeat's `duplicate` is none: it says nothing about the event."""

    def __init__(self, logs: ResultLogs, topic: str, events: Collection[str]) -> None:
        self._logs = logs
        self._topic = topic
        self._named = re.compile(b"|".join(re.escape(orjson.dumps(event_id)) for event_id in events))
        self._events = frozenset(events)
        self._ranges: list[_Range] = []
        self.found: dict[str, Mapping[str, Any]] = {}
        """By event, its youngest result."""

    @property
    def pending(self) -> frozenset[str]:
        """Events of which nothing is known."""
        return self._events - self.found.keys()

    async def begin(self, since_ms: int) -> None:
        """Look nowhere before an instant."""
        for partition in range(await self._logs.partitions(self._topic)):
            first, end = await self._logs.bounds(self._topic, partition)
            floor = await self._logs.offset_at(self._topic, partition, since_ms)
            self._ranges.append(_Range(low=end, high=end, floor=max(first, end if floor is None else floor)))

    async def look(self) -> bool:
        """Read what is new, and a piece of the past; return whether there is more of that."""
        for partition, known in enumerate(self._ranges):
            _, end = await self._logs.bounds(self._topic, partition)
            await self._read(partition, known.high, end)
            known.high = max(known.high, end)
            if self.pending and known.low > known.floor:
                low = max(known.floor, known.low - PIECE_RECORDS)
                await self._read(partition, low, known.low)
                known.low = low
        return any(known.low > known.floor for known in self._ranges)

    async def _read(self, partition: int, start: int, stop: int) -> None:
        if start >= stop:
            return
        async for records in self._logs.read(self._topic, partition, start, stop):
            for record in records:
                if record.value and self._named.search(record.value):
                    self._take(record.value)

    def _take(self, value: bytes) -> None:
        try:
            result = orjson.loads(value)
        except orjson.JSONDecodeError:
            return
        if not isinstance(result, dict) or result.get("eventId") not in self._events:
            return
        if result.get("status") == "duplicate":
            return
        event_id = result["eventId"]
        known = self.found.get(event_id)
        if known is None or str(known.get("completedAt")) <= str(result.get("completedAt")):
            self.found[event_id] = result

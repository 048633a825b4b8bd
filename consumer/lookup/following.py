"""Reads a topic in the order of time: what stands there, then what comes. Bounded in memory; decides nothing.

Partitions are read in pieces, always the one that has come least far in time. So the records of all partitions come in one
order without being in memory together.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Any, Final, Generic, Protocol, TypeVar

from consumer.lookup.points import NOWHERE, LogPoint

T = TypeVar("T")

RECORDS_WAITING: Final = 40_000
"""Half of the most that is kept of all partitions together, to be put in order: 80 MB, where all of it is kept.

One partition's piece may be so large while nothing waits, and all others' together.
"""
FEWEST_AT_ONCE: Final = 1_000
"""A piece costs a few round trips, however short it is."""


class FollowableLogs(Protocol):
    """Whole logs, as anybody may read them."""

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        ...

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return a partition's first offset and its end."""
        ...

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """Return the first offset whose record is at least as young, None where none is."""
        ...

    async def each(
        self, topic: str, partition: int, start: int, stop: int, take: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> None:
        """Hand the records of a range over in their order, a bounded number at a time."""
        ...


class NoSuchPartitionError(Exception):
    """A partition that is asked for does not exist; the message is one line."""


class FollowedTopic(Generic[T]):
    """Some partitions of a topic, read from a point on. With each `look` it goes on where the last one ended."""

    def __init__(
        self,
        logs: FollowableLogs,
        topic: str,
        *,
        keep: Callable[[Any], T | None],
        tell: Callable[[T], None],
        on_read: Callable[[int], None] = lambda _offsets: None,
        records_waiting: int = RECORDS_WAITING,
    ) -> None:
        """Prepare. `keep` says what is wanted of a record; `tell` hears of all that is, in the order of time."""
        self._records_waiting = records_waiting
        self._logs = logs
        self._topic = topic
        self._keep = keep
        self._tell = tell
        self._on_read = on_read
        self._positions: dict[int, int] = {}
        self._until: dict[int, float] = {}
        self._times: dict[int, float] = {}
        """How far each partition has come, by the time of its last record; nothing older is to be expected of it."""
        self._waiting: list[tuple[int, int, int, T]] = []
        """What is kept and not told: time, partition, offset, and the thing itself."""

    async def begin(
        self, *, partitions: Collection[int] = (), since: LogPoint = NOWHERE, until: LogPoint = NOWHERE
    ) -> int:
        """Find where reading begins, and where it ends if it does; return how many offsets stand there now.

        No `partitions` are all; no `since` is the start of the log.

        Raises:
            NoSuchPartitionError: one of them does not exist.
        """
        count = await self._logs.partitions(self._topic)
        if partitions and max(partitions) >= count:
            raise NoSuchPartitionError(f"topic {self._topic!r} has {count} partitions, no {max(partitions)}")
        size = 0
        for number in sorted(partitions) or range(count):
            first, end = await self._logs.bounds(self._topic, number)
            start = await since.offset_in(self._logs, self._topic, number, default=first, none=end)
            self._positions[number] = max(first, start)
            self._until[number] = inf
            if until != NOWHERE:
                self._until[number] = await until.offset_in(self._logs, self._topic, number, default=end, none=end)
            size += max(0, round(min(end, self._until[number])) - self._positions[number])
        return size

    async def begin_at_ends(self) -> None:
        """Let reading begin behind all that stands there now."""
        for number in range(await self._logs.partitions(self._topic)):
            _, self._positions[number] = await self._logs.bounds(self._topic, number)
            self._until[number] = inf

    async def look(self) -> None:
        """Read up to the present ends, and tell of everything up to there."""
        stops: dict[int, int] = {}
        for number in self._positions:
            _, end = await self._logs.bounds(self._topic, number)
            stops[number] = round(min(end, self._until[number]))
        reading = {number for number, stop in stops.items() if self._positions[number] < stop}
        self._times = dict.fromkeys(reading, -inf)
        share = max(FEWEST_AT_ONCE, self._records_waiting // max(1, len(reading)))
        while self._times:
            number = min(self._times, key=self._times.__getitem__)
            at_once = max(share, self._records_waiting - len(self._waiting))
            await self._read(number, min(stops[number], self._positions[number] + at_once))
            if self._positions[number] >= stops[number]:
                del self._times[number]
            self._tell_until(min(self._times.values(), default=inf))

    async def _read(self, number: int, stop: int) -> None:
        async def take(records: Sequence[Any]) -> None:
            for record in records:
                kept = self._keep(record)
                if kept is not None:
                    heappush(self._waiting, (record.timestamp, number, record.offset, kept))
            self._times[number] = max(self._times[number], records[-1].timestamp)

        await self._logs.each(self._topic, number, self._positions[number], stop, take)
        self._on_read(stop - self._positions[number])
        self._positions[number] = stop

    def _tell_until(self, time: float) -> None:
        while self._waiting and self._waiting[0][0] <= time:
            self._tell(heappop(self._waiting)[-1])

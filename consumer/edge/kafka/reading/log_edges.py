"""Handles positions outside of their logs: retention has removed records, or the log was truncated. Reads no records.

Each partition is handled by itself and holds up no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.reading.positions import Positions

TRUNCATED_SECONDS = 30.0
"""A broker that has just become leader may know a shorter log for a moment."""

ANSWER_SECONDS = 5.0
"""How long to wait for the bounds of logs."""


class LogEdges:
    """Moves a position to the log's new beginning, or gives up a partition whose log ends before what was already read."""

    def __init__(
        self,
        positions: Positions,
        *,
        bounds: Callable[[Partition], Awaitable[tuple[Offset, Offset]]],
        position_of: Callable[[Partition], int | None],
        seek: Callable[[Partition, Offset], None],
        on_trouble: Callable[[str], None],
        on_records_lost: Callable[[Partition, Offset, Offset], None],
        clock: Callable[[], float],
    ) -> None:
        """Prepare; see `GroupConsumer`. `position_of` is the client's own, `clock` counts seconds."""
        self._positions = positions
        self._bounds = bounds
        self._position_of = position_of
        self._seek = seek
        self._on_trouble = on_trouble
        self._on_records_lost = on_records_lost
        self._clock = clock
        self._beyond_since: dict[tuple[Partition, int], float] = {}
        """Since when offsets up to where was read are beyond the ends of their logs."""
        self._truncated: dict[Partition, str] = {}

    def forget(self) -> None:
        """Forget everything, because there is a new assignment."""
        self._beyond_since.clear()
        self._truncated.clear()

    def read(self, partition: Partition) -> None:
        """Note that records of a partition were read, so its position is inside of its log."""
        if self._beyond_since:
            self._beyond_since = {key: since for key, since in self._beyond_since.items() if key[0] != partition}

    def ends(self, partition: Partition, end: Offset, *, read: Offset) -> None:
        """Note where a log ends that was read up to an offset once.

        Whoever reads parked records again sees it. A partition that is as far ahead as it may be is not read otherwise, so
        no broker calls its position outside of the log.
        """
        if end < read:
            self._beyond(partition, read, end)
        else:
            self._beyond_since.pop((partition, read), None)

    def take_truncated(self) -> Mapping[Partition, str]:
        """Return the partitions that were given up since the last call, and why."""
        truncated, self._truncated = self._truncated, {}
        return truncated

    async def look(self, asked: Mapping[Partition, int]) -> None:
        """Examine positions that a broker has called outside of their logs. Those that have changed since are ignored.

        Reading waits for this, so it does not wait long: a broker that does not answer is asked again later.
        """
        async with asyncio.TaskGroup() as tasks:
            for partition, position in asked.items():
                if self._is_current(partition, position):
                    self._positions.set_aside(partition, self._clock())
                    tasks.create_task(self._look_at(partition, position), name=f"edges of {partition}")

    async def _look_at(self, partition: Partition, position: int) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                first, end = await self._bounds(partition)
        except TimeoutError:
            self._on_trouble(f"{partition}: no broker says where its log begins and ends; tried again")
            return
        if not self._is_current(partition, position):
            return
        if position < first:
            self._seek(partition, first)
            self._on_records_lost(partition, Offset(position), first)
        elif position > end:
            self._beyond(partition, position, end)
        else:
            self._on_trouble(f"{partition}: its leader does not have offset {position} yet; tried again")

    def _is_current(self, partition: Partition, position: int) -> bool:
        """Return whether the partition is read, and `position` is the client's present position in it.

        The end of the records handed out will not do: after them may come what is never returned, such as the marker
        that ends a transaction.
        """
        return self._positions.next_of(partition) is not None and self._position_of(partition) == position

    def _beyond(self, partition: Partition, position: int, end: int) -> None:
        now = self._clock()
        since = self._beyond_since.setdefault((partition, position), now)
        if now - since <= TRUNCATED_SECONDS:
            self._on_trouble(f"{partition} ends at offset {end}, below {position}; tried again")
            return
        self.read(partition)
        self._positions.forget(partition)
        self._truncated[partition] = (
            f"the events partition ends at offset {end}, below what was read of it ({position}): "
            "the topic was recreated or truncated"
        )

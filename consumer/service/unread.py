"""How old the first unread record is, of partitions that have nothing in hand. Asks seldom, and never moves a position.

What is in hand tells its own age. A partition that is paused, or stopped, may have everything still to read: then one
record is read beside the group's own reading, and again only when the partition has moved, or after a minute.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from consumer.core.journal.lane import Lane
from consumer.core.terms import Offset, Partition, Ticks
from consumer.service.ports import Clock, EventsConsumer, RefusedError, TopicGoneError

AGAIN_SECONDS = 60.0
"""How long an answer counts for a partition that has not moved: retention may have removed the record since."""

ROUND_SECONDS = 2.0
"""How long one round of questions takes at most, the last answer apart: the ends of the logs are read after it."""


def first_unread(
    lanes: Mapping[Partition, Lane], known_done: Mapping[Partition, Offset], log_ends: Mapping[Partition, Offset]
) -> dict[Partition, Offset]:
    """Return from where the first unread record is to be looked for, of partitions with a backlog and nothing in hand.

    `log_ends` are those that brokers have just told: who does not answer that is not asked for a record.
    """
    first: dict[Partition, Offset] = {}
    for partition, lane in lanes.items():
        reached = lane.watermark.position if lane.started else known_done.get(partition)
        if reached is not None and not (lane.held_events or lane.parked) and reached < log_ends.get(partition, reached):
            first[partition] = reached
    return first


class _Found(NamedTuple):
    offset: Offset
    timestamp_ms: int | None
    at: Ticks


class UnreadRecords:
    """Remembers the timestamps of first unread records, by partition."""

    def __init__(self, consumer: EventsConsumer, clock: Clock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._found: dict[Partition, _Found] = {}
        self._stood: Mapping[Partition, Offset] = {}

    def timestamp_ms(self, partition: Partition, offset: Offset) -> int | None:
        """Return the timestamp of the first record at or after `offset`, None where it is not known."""
        found = self._found.get(partition)
        return None if found is None or found.offset != offset else found.timestamp_ms

    def forget(self, partition: Partition) -> None:
        """A partition is no longer ours."""
        self._found.pop(partition, None)

    async def begun_anew(
        self, known_done: Mapping[Partition, Offset], log_ends: Mapping[Partition, Offset]
    ) -> Mapping[Partition, Offset]:
        """Return where logs begin that end below what was done of them: they are new ones, of which nothing is done."""
        begun: dict[Partition, Offset] = {}
        for partition, done in list(known_done.items()):
            if log_ends.get(partition, done) < done:
                try:
                    async with asyncio.timeout(ROUND_SECONDS):
                        begun[partition], _ = await self._consumer.log_bounds(partition)
                except (TimeoutError, TopicGoneError, RefusedError):
                    return begun
        return begun

    async def look(self, first_unread: Mapping[Partition, Offset], *, paused: Collection[Partition]) -> None:
        """Look at the first unread record of each; of one that is being read, only where it has not moved since."""
        began_at = self._clock.now().steady
        stood, self._stood = self._stood, first_unread
        due = [
            partition
            for partition, offset in first_unread.items()
            if (partition in paused or stood.get(partition) == offset) and self._is_due(partition, offset, began_at)
        ]
        for partition in sorted(due, key=self._looked_at):
            if self._clock.now().steady - began_at > ROUND_SECONDS:
                return
            offset = first_unread[partition]
            timestamp_ms = await self._consumer.first_timestamp_ms(partition, offset)
            self._found[partition] = _Found(offset, timestamp_ms, self._clock.now().steady)

    def _is_due(self, partition: Partition, offset: Offset, now: Ticks) -> bool:
        found = self._found.get(partition)
        return found is None or found.offset != offset or found.timestamp_ms is None or now - found.at > AGAIN_SECONDS

    def _looked_at(self, partition: Partition) -> float:
        found = self._found.get(partition)
        return float("-inf") if found is None else found.at

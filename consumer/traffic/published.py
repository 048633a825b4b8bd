"""What was published, by partition and offset: each of a few records, ranges of many. Publishes nothing."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from consumer.traffic.publisher import Publishable

EACH_AT_MOST: Final = 20
"""So many records are named one by one."""
RANGES_SHOWN: Final = 5


class _Named(msgspec.Struct, gc=False, rename="camel"):
    event_id: str | None = None


_decode: Final = msgspec.json.Decoder(_Named).decode


class PublishedRecord(NamedTuple):
    """A record's place, and its event's ID where it has one."""

    partition: int
    offset: int
    event_id: str | None


class PublishedPlaces:
    """The places of records that are acknowledged."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.count = 0
        self._first: list[PublishedRecord] = []
        self._ranges: dict[int, list[range]] = {}

    def add(self, partition: int, offset: int, records: Sequence[Publishable]) -> None:
        """Add a batch that is acknowledged; batches of a partition come in their order."""
        self.count += len(records)
        for number, record in enumerate(records[: EACH_AT_MOST - len(self._first)]):
            self._first.append(PublishedRecord(partition, offset + number, _event_id_of(record.value)))
        ranges = self._ranges.setdefault(partition, [])
        start = ranges.pop().start if ranges and ranges[-1].stop == offset else offset
        ranges.append(range(start, offset + len(records)))

    @property
    def partitions(self) -> int:
        """How many partitions have some."""
        return len(self._ranges)

    def has(self, partition: int, offset: int) -> bool:
        """Whether a record is one of ours."""
        ranges = self._ranges.get(partition, [])
        place = bisect_right(ranges, offset, key=lambda each: each.start) - 1
        return place >= 0 and offset in ranges[place]

    def each(self) -> Iterator[tuple[int, int]]:
        """Yield the partition and the offset of each."""
        for partition, ranges in sorted(self._ranges.items()):
            for one in ranges:
                yield from ((partition, offset) for offset in one)

    def lines(self) -> Iterator[str]:
        """Yield the places for people."""
        if self.count <= EACH_AT_MOST:
            for record in sorted(self._first):
                yield f"{self.topic}:{record.partition}:{record.offset}  {record.event_id or 'no event ID'}"
            return
        for partition, ranges in sorted(self._ranges.items()):
            shown = ", ".join(f"{one.start}-{one.stop - 1}" for one in ranges[:RANGES_SHOWN])
            more = f" and {len(ranges) - RANGES_SHOWN:,} more ranges" if len(ranges) > RANGES_SHOWN else ""
            yield f"{self.topic}:{partition}  offsets {shown}{more}"


def _event_id_of(value: bytes | None) -> str | None:
    try:
        return _decode(value or b"").event_id
    except (msgspec.MsgspecError, UnicodeError):
        return None

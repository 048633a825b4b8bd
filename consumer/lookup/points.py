"""Points in logs, as people name them, and the offsets that they mean. Reads no clock."""

from dataclasses import dataclass
from typing import Final, Protocol


class LogTimes(Protocol):
    """What is asked to find an instant in a log."""

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """Return the first offset whose record is at least as young, None where none is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPoint:
    """A point in a partition: an offset, or the first record of an instant (milliseconds since 1970) or later."""

    offset: int | None = None
    timestamp_ms: int | None = None

    async def offset_in(self, logs: LogTimes, topic: str, partition: int, *, default: int, none: int) -> int:
        """Return the offset that it means: `default` where it says nothing, `none` where all records are older."""
        if self.offset is not None:
            return self.offset
        if self.timestamp_ms is None:
            return default
        found = await logs.offset_at(topic, partition, self.timestamp_ms)
        return none if found is None else found


NOWHERE: Final = LogPoint()
"""No point: from the start of the log, or to its end."""

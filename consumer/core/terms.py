"""The words every room uses: partitions, offsets, instants. Holds no state and never reads a clock."""

from typing import NamedTuple, NewType

Instant = NewType("Instant", float)
"""Wall-clock seconds since 1970-01-01T00:00:00Z: what people, deadlines and results go by."""

Ticks = NewType("Ticks", float)
"""Seconds on a clock that never goes back and goes on while the machine is suspended."""

AT_ONCE = Ticks(float("-inf"))
"""Before every reading of the clock: something that is due, or was never put off."""

NEVER = Ticks(float("inf"))
"""After every reading of the clock: something that only a fact ends."""

Offset = NewType("Offset", int)
"""A position in a partition of an events topic."""

JournalOffset = NewType("JournalOffset", int)
"""A position in a partition of a journal topic."""

SendId = NewType("SendId", str)
"""Names one send across all its attempts."""


class Now(NamedTuple):
    """One reading of both clocks; the core is given it and never reads a clock itself."""

    wall: Instant
    steady: Ticks


class Partition(NamedTuple):
    """One partition of an events topic. Its journal partition has the same number."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.number}"

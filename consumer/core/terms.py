"""The words every room uses: partitions, offsets, instants. Holds no state and never reads a clock."""

from math import floor
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


def millisecond_of(instant: Instant) -> Instant:
    """Return the beginning of the millisecond in which an instant lies.

    What results tell is cut like this: a request that started before a deadline must not be told to have started at it.
    """
    count = floor(instant * 1000.0)  # the product is rounded, so that it may have gone past a whole number
    if count / 1000.0 > instant:
        return Instant((count - 1) / 1000.0)
    following = (count + 1) / 1000.0
    return Instant(following if following <= instant else count / 1000.0)


class Partition(NamedTuple):
    """One partition of an events topic. Its journal partition has the same number."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.number}"

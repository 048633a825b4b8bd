"""How much may start in a second: requests, contacts. Plain arithmetic over the time given; knows no group, no queue.

The generic cell rate algorithm, kept as the level of a leaky bucket: what starts fills it, time drains it at the rate. A
level, unlike the algorithm's "theoretical arrival time", means the same after the rate has changed. Source: ITU-T I.371,
annex A; the two are equivalent there.
"""

from consumer.core.terms import AT_ONCE, NEVER, Now, Ticks

BURST_SECONDS = 0.1
"""No more than so many seconds' worth starts at once, and what a single request carries beyond."""

ROUNDING = 1e-6
"""A level is a sum of floats: as near as this counts as there."""


class RateLimit:
    """One limit, for everybody or for one campaign."""

    __slots__ = ("_at", "_level", "_per_second")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._level = 0.0
        self._at = AT_ONCE

    @property
    def per_second(self) -> float:
        """The rate in force here."""
        return self._per_second

    def change(self, per_second: float, now: Now) -> None:
        """Go on at another rate; 0 lets nothing start. What has started stays counted."""
        self._drain(now)
        self._per_second = per_second

    def take(self, units: int, now: Now) -> None:
        """So much starts."""
        self._drain(now)
        self._level += units

    def free_at(self, now: Now) -> Ticks:
        """Return when the next may start at the earliest; that may be over."""
        rate = self._per_second
        if rate <= 0.0:
            return NEVER
        room = max(0.0, rate * BURST_SECONDS - 1.0)
        over = self._level_at(now) - room
        return AT_ONCE if over <= ROUNDING else Ticks(now.steady + over / rate)

    def _level_at(self, now: Now) -> float:
        return max(0.0, self._level - self._per_second * max(0.0, now.steady - self._at)) if self._level else 0.0

    def _drain(self, now: Now) -> None:
        self._level = self._level_at(now)
        self._at = max(self._at, now.steady)

"""Who is to be looked at again at which instant of the wall clock. Never reads it, and looks at nobody.

Instants are rounded up to a quarter of a second: what is due together stands together, and nothing is sorted.
"""

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Generic, TypeVar

from consumer.core.terms import Instant

STEP_SECONDS = 0.25
EVENTS_AT_ONCE = 400
"""So many events settle in one go, some 20 ms of work; what is left is due in the next turn."""

STALE_ENTRIES = 64

Who = TypeVar("Who", bound=Hashable)


class Deadlines(Generic[Who]):
    """One instant for each; a new one takes the place of the one before."""

    def __init__(self) -> None:
        self._steps: dict[Who, int] = {}
        self._due: dict[int, dict[Who, None]] = {}
        self._order: list[int] = []

    def put(self, who: Who, at: Instant) -> None:
        """Look at `who` at that instant, and not at another."""
        self.discard(who)
        step = self._steps[who] = ceil(at / STEP_SECONDS)
        together = self._due.get(step)
        if together is None:
            together = self._due[step] = {}
            heappush(self._order, step)
            if len(self._order) > 2 * len(self._due) + STALE_ENTRIES:
                self._order = list(self._due)
                heapify(self._order)
        together[who] = None

    def put_earlier(self, who: Who, at: Instant) -> None:
        """Look at `who` at that instant, unless it is to be looked at before."""
        known = self._steps.get(who)
        if known is None or at < known * STEP_SECONDS:
            self.put(who, at)

    def at(self, who: Who) -> Instant | None:
        """Return when `who` is looked at, None where it is not."""
        step = self._steps.get(who)
        return None if step is None else Instant(step * STEP_SECONDS)

    def discard(self, who: Who) -> Instant | None:
        """Look at `who` no more; return when it would have been."""
        step = self._steps.pop(who, None)
        if step is None:
            return None
        together = self._due[step]
        del together[who]
        if not together:
            del self._due[step]
        return Instant(step * STEP_SECONDS)

    def next_at(self) -> Instant | None:
        """Return when somebody is due, None where nobody is."""
        order = self._order
        while order and order[0] not in self._due:
            heappop(order)
        return Instant(order[0] * STEP_SECONDS) if order else None

    def take_due(self, now: Instant) -> Iterator[Who]:
        """Yield those who are due, each taken out; whoever is left over is due the next time."""
        while (next_at := self.next_at()) is not None and next_at <= now:
            together = self._due[self._order[0]]
            who = next(reversed(together))
            self.discard(who)
            yield who

    def clear(self) -> None:
        """Forget everybody."""
        self._steps, self._due, self._order = {}, {}, []

    def __len__(self) -> int:
        return len(self._steps)

"""Which event IDs have an outcome already, for a while. Bounded by age and by count; never reads a clock."""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from consumer.core.terms import Instant, Offset, Partition

GENERATIONS = 4
"""A fingerprint is forgotten with its generation, a quarter of the time to live: looking one up stays cheap."""


@dataclass(slots=True)
class _Generation:
    opened_at: Instant
    offsets: dict[bytes, Offset] = field(default_factory=dict)


class Deduplication:
    """Fingerprints of settled events, with the offset of the first, by partition.

    The bound on entries is one for the whole process: past it the oldest generation goes, of whichever partition.
    """

    def __init__(self, *, ttl_seconds: float, max_entries: int) -> None:
        self._ttl_seconds = ttl_seconds
        self._max_entries = max_entries
        self._span_seconds = ttl_seconds / GENERATIONS
        self._partitions: dict[Partition, deque[_Generation]] = {}
        self.entries = 0

    def first(self, partition: Partition, fingerprint: bytes) -> Offset | None:
        """Return the offset of the event that has this fingerprint and an outcome, None where none is known."""
        for generation in self._partitions.get(partition, ()):
            offset = generation.offsets.get(fingerprint)
            if offset is not None:
                return offset
        return None

    def lookup_tables(self, partition: Partition, now: Instant) -> list[dict[bytes, Offset]]:
        """Return the tables to look fingerprints up in, for a loop over a whole batch."""
        self.expire(now)
        return [generation.offsets for generation in self._partitions.get(partition, ())]

    def settled(
        self, partition: Partition, fingerprints: Collection[bytes], offsets: Iterable[Offset], at: Instant
    ) -> None:
        """Remember events that got their outcome at `at`."""
        if not fingerprints:
            return
        generations = self._partitions.setdefault(partition, deque())
        newest = generations[0] if generations else None
        bound = max(1, self._max_entries // GENERATIONS)
        if newest is None or at - newest.opened_at >= self._span_seconds or len(newest.offsets) >= bound:
            newest = _Generation(at)
            generations.appendleft(newest)
        before = len(newest.offsets)
        newest.offsets.update(zip(fingerprints, offsets, strict=True))
        self.entries += len(newest.offsets) - before
        self.expire(at)
        self._make_room(newest)

    def expire(self, now: Instant) -> None:
        """Forget what is older than the time to live."""
        oldest = now - self._ttl_seconds - self._span_seconds
        for generations in self._partitions.values():
            while generations and generations[-1].opened_at < oldest:
                self.entries -= len(generations.pop().offsets)

    def forget(self, partition: Partition) -> None:
        """Drop a partition that is no longer ours."""
        for generation in self._partitions.pop(partition, ()):
            self.entries -= len(generation.offsets)

    def window_seconds(self, now: Instant) -> float:
        """Return how far back every partition remembers: the effective window, at most the time to live."""
        oldest = [generations[-1].opened_at for generations in self._partitions.values() if generations]
        return min(self._ttl_seconds, now - max(oldest)) if oldest else self._ttl_seconds

    def _make_room(self, newest: _Generation) -> None:
        """Forget the oldest past the bound; last of all `newest`, which holds the youngest though it may be long open."""
        while self.entries > self._max_entries:
            full = [generations for generations in self._partitions.values() if generations]
            others = [generations for generations in full if generations[-1] is not newest]
            oldest = min(others or full, key=lambda generations: generations[-1].opened_at)
            self.entries -= len(oldest.pop().offsets)

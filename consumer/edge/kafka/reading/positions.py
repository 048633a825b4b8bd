"""The assigned partitions, their positions, and which of them are read now. Touches no client, reads no clock."""

from collections.abc import Collection

from consumer.core.terms import Offset, Partition

TRY_AGAIN_SECONDS = 2.0


class Positions:
    """The state of the assignment. A partition is read only if it has a position and was resumed."""

    def __init__(self, urgent_topics: Collection[str] = ()) -> None:
        self.urgent_topics = urgent_topics
        self.assigned: frozenset[Partition] = frozenset()
        self._next: dict[Partition, int] = {}
        self._resumed: set[Partition] = set()
        self._set_aside: dict[Partition, float] = {}
        self._passed: dict[Partition, Offset] = {}

    def receive(self, partitions: frozenset[Partition]) -> None:
        """Replace the assignment: no partition of it has a position or is resumed."""
        self.assigned = partitions
        self._next.clear()
        self._resumed.clear()
        self._set_aside.clear()
        self._passed.clear()

    def seek(self, partition: Partition, offset: int) -> None:
        """Set the position."""
        self._next[partition] = offset
        self._set_aside.pop(partition, None)
        self._passed.pop(partition, None)

    def forget(self, partition: Partition) -> None:
        """Drop the position: the partition is not read before the next `seek`."""
        self._next.pop(partition, None)
        self._set_aside.pop(partition, None)
        self._passed.pop(partition, None)

    def resume(self, partition: Partition) -> None:
        """Read the partition as soon as it has a position."""
        self._resumed.add(partition)

    def pause(self, partition: Partition) -> None:
        """Do not read the partition."""
        self._resumed.discard(partition)

    def pause_all(self) -> None:
        """Read no partition."""
        self._resumed.clear()

    def is_read(self, partition: Partition) -> bool:
        """Return whether the partition is assigned, has a position, and was resumed."""
        return partition in self.assigned and partition in self._resumed and partition in self._next

    def next_of(self, partition: Partition) -> int | None:
        """Return the position, past the last record handed out; None without one."""
        return self._next.get(partition)

    def handed_out(self, partition: Partition, next_offset: int) -> None:
        """Note that the records below `next_offset` have been handed out."""
        self._next[partition] = next_offset
        if self._set_aside:
            self._set_aside.pop(partition, None)

    def passed(self, partition: Partition, next_offset: int) -> None:
        """Note that there is no readable record between those handed out and `next_offset`."""
        if partition in self._next:
            self._next[partition] = next_offset
            self._passed[partition] = Offset(next_offset)
            self._set_aside.pop(partition, None)

    def take_passed(self) -> dict[Partition, Offset]:
        """Return the positions that were set by `passed` since the last call."""
        passed, self._passed = self._passed, {}
        return passed

    def set_aside(self, partition: Partition, now: float) -> None:
        """Retry a partition that cannot be read by itself, every `TRY_AGAIN_SECONDS`; the others go on."""
        self._set_aside[partition] = now + TRY_AGAIN_SECONDS

    def take_back(self, topic: str) -> None:
        """Read the partitions of this topic as usual again."""
        self._set_aside = {one: try_at for one, try_at in self._set_aside.items() if one.topic != topic}

    def take_due(self, now: float) -> list[Partition]:
        """Return the partitions set aside that are due for a retry, and set their next one."""
        due = [partition for partition, try_at in self._set_aside.items() if try_at <= now and self.is_read(partition)]
        for partition in due:
            self.set_aside(partition, now)
        return due

    def hurried(self) -> list[Partition]:
        """Return the partitions of urgent topics to be read, without those set aside."""
        return [one for one in self.wanted() if one.topic in self.urgent_topics] if self.urgent_topics else []

    def wanted(self) -> list[Partition]:
        """Return the partitions to be read, without those set aside."""
        return [
            partition for partition in self._resumed if partition in self._next and partition not in self._set_aside
        ]

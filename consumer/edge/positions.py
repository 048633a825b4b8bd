"""Which partitions are ours, from where each is read, and which are read from now. Touches no client, reads no clock."""

from collections.abc import Iterable, Iterator

from consumer.core.terms import Partition

TRY_DAMAGED_SECONDS = 2.0


class Positions:
    """What the group gave us and what the service said about it: sought and resumed is read from, nothing else."""

    def __init__(self) -> None:
        self.assigned: frozenset[Partition] = frozenset()
        self._next: dict[Partition, int] = {}
        self._resumed: set[Partition] = set()
        self._damaged: dict[Partition, float] = {}

    def receive(self, partitions: frozenset[Partition]) -> None:
        """Take what the group gives: nothing of it is sought or resumed."""
        self.assigned = partitions
        self._next.clear()
        self._resumed.clear()
        self._damaged.clear()

    def seek(self, partition: Partition, offset: int) -> None:
        """Read from here."""
        self._next[partition] = offset

    def resume(self, partition: Partition) -> None:
        """Read, from the moment on that the position is known."""
        self._resumed.add(partition)

    def pause(self, partition: Partition) -> None:
        """Do not read."""
        self._resumed.discard(partition)

    def pause_all(self) -> None:
        """Do not read from any."""
        self._resumed.clear()

    def is_read(self, partition: Partition) -> bool:
        """Whether the partition is ours, sought and resumed."""
        return partition in self.assigned and partition in self._resumed and partition in self._next

    def next_of(self, partition: Partition) -> int | None:
        """Return where reading goes on, behind the last record handed out; None before it was sought."""
        return self._next.get(partition)

    def sought(self) -> Iterator[tuple[Partition, int]]:
        """Yield every position known."""
        yield from self._next.items()

    def handed_out(self, partition: Partition, next_offset: int) -> None:
        """Records below `next_offset` have been handed out."""
        self._next[partition] = next_offset
        if self._damaged:
            self._damaged.pop(partition, None)

    def damaged(self, partition: Partition, now: float) -> None:
        """What was fetched of this one cannot be unpacked: it is tried by itself now and then, the others go on."""
        self._damaged[partition] = now + TRY_DAMAGED_SECONDS

    def wanted(self, now: float) -> Iterable[Partition]:
        """Return what is to be read from in this round."""
        for partition, try_at in self._damaged.items():
            if try_at <= now and self.is_read(partition):
                self.damaged(partition, now)
                return [partition]
        return [partition for partition in self._resumed if partition in self._next and partition not in self._damaged]

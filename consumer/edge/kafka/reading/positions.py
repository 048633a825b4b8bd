"""Which partitions are ours, from where each is read, and which are read from now. Touches no client, reads no clock."""

from consumer.core.terms import Offset, Partition

TRY_AGAIN_SECONDS = 2.0


class Positions:
    """What the group gave us and what the service said about it: sought and resumed is read from, nothing else."""

    def __init__(self) -> None:
        self.assigned: frozenset[Partition] = frozenset()
        self._next: dict[Partition, int] = {}
        self._resumed: set[Partition] = set()
        self._set_aside: dict[Partition, float] = {}
        self._passed: dict[Partition, Offset] = {}

    def receive(self, partitions: frozenset[Partition]) -> None:
        """Take what the group gives: nothing of it is sought or resumed."""
        self.assigned = partitions
        self._next.clear()
        self._resumed.clear()
        self._set_aside.clear()
        self._passed.clear()

    def seek(self, partition: Partition, offset: int) -> None:
        """Read from here."""
        self._next[partition] = offset
        self._set_aside.pop(partition, None)
        self._passed.pop(partition, None)

    def forget(self, partition: Partition) -> None:
        """Do not read before it was sought again."""
        self._next.pop(partition, None)
        self._set_aside.pop(partition, None)
        self._passed.pop(partition, None)

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

    def handed_out(self, partition: Partition, next_offset: int) -> None:
        """Records below `next_offset` have been handed out."""
        self._next[partition] = next_offset
        if self._set_aside:
            self._set_aside.pop(partition, None)

    def passed(self, partition: Partition, next_offset: int) -> None:
        """Behind the records that were handed out, nothing below `next_offset` may be read by anybody."""
        if partition in self._next:
            self._next[partition] = next_offset
            self._passed[partition] = Offset(next_offset)
            self._set_aside.pop(partition, None)

    def take_passed(self) -> dict[Partition, Offset]:
        """Return where reading has passed what nobody may read, since this was asked last."""
        passed, self._passed = self._passed, {}
        return passed

    def set_aside(self, partition: Partition, now: float) -> None:
        """What comes next of this one cannot be read: it is tried by itself now and then, the others go on."""
        self._set_aside[partition] = now + TRY_AGAIN_SECONDS

    def take_back(self, topic: str) -> None:
        """What was set aside of this topic may be read."""
        self._set_aside = {one: try_at for one, try_at in self._set_aside.items() if one.topic != topic}

    def take_due(self, now: float) -> list[Partition]:
        """Return those set aside that are to be tried now, each by itself; not again for a while."""
        due = [partition for partition, try_at in self._set_aside.items() if try_at <= now and self.is_read(partition)]
        for partition in due:
            self.set_aside(partition, now)
        return due

    def wanted(self) -> list[Partition]:
        """Return what is to be read from, all that was set aside apart."""
        return [
            partition for partition in self._resumed if partition in self._next and partition not in self._set_aside
        ]

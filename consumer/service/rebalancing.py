"""How long rebalances keep this process from its work: from the revoke until all that is assigned is at work. Moves nothing."""

from collections.abc import Iterable

from consumer.core.terms import Partition, Ticks
from consumer.service.facts import Facts
from consumer.service.ports import Clock


class Rebalancing:
    """One rebalance at a time: one that begins before the last is over goes on with that one's time."""

    def __init__(self, clock: Clock, facts: Facts) -> None:
        self._clock = clock
        self._facts = facts
        self._began_at: Ticks | None = None
        self._awaited: set[Partition] | None = None
        """What was assigned and is not at work yet; None while nothing is assigned."""
        self.was_assigned = False
        """Whether the group has ever given us something, be it no partition."""

    def revoked(self) -> None:
        """All partitions are handed back from now on."""
        self._awaited = None
        if self._began_at is None:
            self._began_at = self._clock.now().steady

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """The group assigned these to us, and nothing else."""
        self.revoked()  # the first assignment of a member follows no revoke
        self._awaited, self.was_assigned = set(partitions), True
        self._end()

    def standing(self, partition: Partition) -> None:
        """A partition is at work, or waits for a person."""
        if self._awaited is not None:
            self._awaited.discard(partition)
            self._end()

    def _end(self) -> None:
        if self._began_at is not None and not self._awaited:
            seconds, self._began_at = self._clock.now().steady - self._began_at, None
            self._facts.rebalanced(seconds=seconds)

"""Which producer each partition sends through: the one that all share, or one of its own. Starts and stops none.

A producer is of no use once a batch of it has failed, and every other batch in it is lost with it. So a partition
whose batch failed leaves the producer that all share, and sends through one of its own until a batch of it succeeds.
"""

from enum import Enum, auto
from typing import Generic, TypeVar

from aiokafka import TopicPartition

P = TypeVar("P")
"""The caller's type of a producer."""


class ProducerUse(Enum):
    """Which producer a partition's next batch goes through."""

    SHARES = auto()
    """The shared one."""
    NEEDS_ITS_OWN = auto()
    """One of its own, which has to be started first."""
    HAS_ITS_OWN = auto()
    """One of its own, which has been started."""


class ProducerEvent(Enum):
    """What changes the producer that a partition uses."""

    NO_LEADER = auto()
    """The brokers know no leader of the partition, so its batch was not handed over to a producer."""
    SHARED_FAILED = auto()
    """A batch of the partition failed in the producer that all share."""
    SHARED_SUCCEEDED = auto()
    """A batch of the partition was acknowledged in the producer that all share."""
    OWN_STARTED = auto()
    """A producer of its own has been started."""
    OWN_FAILED = auto()
    """A batch of the partition failed in its own producer."""
    OWN_SUCCEEDED = auto()
    """A batch of the partition was acknowledged in its own producer."""


_SHARES, _NEEDS, _HAS = ProducerUse.SHARES, ProducerUse.NEEDS_ITS_OWN, ProducerUse.HAS_ITS_OWN
NEXT: dict[ProducerEvent, dict[ProducerUse, ProducerUse]] = {
    ProducerEvent.NO_LEADER: {_SHARES: _NEEDS, _NEEDS: _NEEDS, _HAS: _HAS},
    ProducerEvent.SHARED_FAILED: {_SHARES: _NEEDS, _NEEDS: _NEEDS, _HAS: _HAS},
    ProducerEvent.SHARED_SUCCEEDED: {_SHARES: _SHARES, _NEEDS: _SHARES, _HAS: _HAS},
    ProducerEvent.OWN_STARTED: {_SHARES: _HAS, _NEEDS: _HAS},
    ProducerEvent.OWN_FAILED: {_HAS: _NEEDS},
    ProducerEvent.OWN_SUCCEEDED: {_HAS: _SHARES},
}
"""What a partition uses after each event; a combination that is missing cannot happen.

Two batches of one partition may be in flight: an append from before the partition was lost, and one from after it came back.
So a batch may end in the shared producer while the partition has a producer of its own.
"""


class PartitionProducers(Generic[P]):
    """The producer of each partition. By default a partition uses the shared one."""

    def __init__(self) -> None:
        """Begin without a producer."""
        self._shared: P | None = None
        self._uses: dict[TopicPartition, ProducerUse] = {}
        self._own: dict[TopicPartition, P] = {}
        """The producers of the partitions that have one of their own."""

    @property
    def shared(self) -> P | None:
        """The producer that all share, None while it has to be started."""
        return self._shared

    def use_of(self, target: TopicPartition) -> ProducerUse:
        """Return which producer the partition's next batch goes through."""
        return self._uses.get(target, ProducerUse.SHARES)

    def own(self, target: TopicPartition) -> P:
        """Return the partition's own producer; only for a partition that has one."""
        return self._own[target]

    def shared_started(self, producer: P) -> None:
        """Let all partitions share `producer`."""
        assert self._shared is None
        self._shared = producer

    def own_started(self, target: TopicPartition, producer: P) -> None:
        """Let the partition alone use `producer`."""
        self._move(target, ProducerEvent.OWN_STARTED)
        self._own[target] = producer

    def no_leader(self, target: TopicPartition) -> None:
        """Give the partition its own producer before a batch of it can fail in the shared one."""
        self._move(target, ProducerEvent.NO_LEADER)

    def failed(self, target: TopicPartition, producer: P) -> None:
        """Drop `producer`, because a batch of the partition has failed in it.

        Other partitions go on with the next shared producer: the failure counts as this partition's.
        """
        if self._is_own(target, producer):
            self._move(target, ProducerEvent.OWN_FAILED)
            del self._own[target]
            return
        assert producer is self._shared, "a producer that was dropped fails only once"
        self._move(target, ProducerEvent.SHARED_FAILED)
        self._shared = None

    def succeeded(self, target: TopicPartition, producer: P) -> P | None:
        """Record that a batch of the partition was acknowledged; return the producer that is not needed any more."""
        if self._is_own(target, producer):
            self._move(target, ProducerEvent.OWN_SUCCEEDED)
            return self._own.pop(target)
        self._move(target, ProducerEvent.SHARED_SUCCEEDED)
        return None

    def stop(self) -> list[P]:
        """Drop all producers, and return those that were in use."""
        running = [*self._own.values()] if self._shared is None else [self._shared, *self._own.values()]
        self._shared = None
        self._uses.clear()
        self._own.clear()
        return running

    def _is_own(self, target: TopicPartition, producer: P) -> bool:
        return target in self._own and self._own[target] is producer

    def _move(self, target: TopicPartition, event: ProducerEvent) -> None:
        use, following = self.use_of(target), NEXT[event]
        if use not in following:
            raise AssertionError((target, use, event))
        self._uses[target] = following[use]

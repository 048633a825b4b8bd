"""How many events wait for their turn, by partition and campaign. Holds no event, and decides nothing.

Those are the members of queued sends, also of sends that are set aside, and what waits behind an earlier event of its
person or its ID. Counted where a send or such an event comes and goes, so that whoever asks goes through no event.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from types import MappingProxyType

from consumer.core.event import Event
from consumer.core.terms import Partition

_NONE: Mapping[int, int] = MappingProxyType({})


class WaitingEvents:
    """Counts by campaign, for each partition that has any."""

    def __init__(self) -> None:
        self._by_partition: dict[Partition, dict[int, int]] = {}

    def of(self, partition: Partition) -> Mapping[int, int]:
        """Return how many of a partition wait, by campaign; only campaigns that have some."""
        return self._by_partition.get(partition, _NONE)

    def add(self, partition: Partition, campaign_id: int, count: int = 1) -> None:
        """So many begin to wait."""
        counts = self._by_partition.get(partition)
        if counts is None:
            counts = self._by_partition[partition] = {}
        counts[campaign_id] = counts.get(campaign_id, 0) + count

    def remove(self, partition: Partition, campaign_id: int, count: int = 1) -> None:
        """So many wait no more. Without effect for a partition that was forgotten."""
        counts = self._by_partition.get(partition)
        if counts is None:
            return
        left = counts.get(campaign_id, 0) - count
        if left > 0:
            counts[campaign_id] = left
        else:
            counts.pop(campaign_id, None)

    def add_members(self, campaign_id: int, members: Iterable[Event]) -> None:
        """Members of a send of this campaign begin to wait."""
        for partition, count in _runs(members):
            self.add(partition, campaign_id, count)

    def remove_members(self, campaign_id: int, members: Iterable[Event]) -> None:
        """Members of a send of this campaign wait no more."""
        for partition, count in _runs(members):
            self.remove(partition, campaign_id, count)

    def remove_each(self, events: Iterable[Event]) -> None:
        """These wait no more, whatever their campaigns."""
        for event in events:
            self.remove(event.partition, event.group.campaign_id)

    def forget(self, partition: Partition) -> None:
        """A partition is no longer ours."""
        self._by_partition.pop(partition, None)


def _runs(members: Iterable[Event]) -> list[tuple[Partition, int]]:
    """Return the partitions of neighbours, with their counts; neighbours come from one batch, and so from one partition."""
    partitions = [event.partition for event in members]
    if len(partitions) == 1:
        return [(partitions[0], 1)]
    return [(partition, len(list(run))) for partition, run in groupby(partitions)]

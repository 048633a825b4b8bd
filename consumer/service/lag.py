"""Lag as `/status` shows it: by partition and in total, by what the records wait for, and in seconds. Changes nothing.

Goes through partitions, campaigns and what is out, never through the events in hand.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from consumer.core.journal.lane import Lane
from consumer.core.pipeline import Pipeline
from consumer.core.platform.access import Access, AccessState
from consumer.core.terms import Now, Offset, Partition
from consumer.service.partitions import Partitions
from consumer.service.status_shape import LagParts, PartitionStatus


class Blockage(NamedTuple):
    """What may not start now, whoever's turn it is."""

    everything: bool
    campaigns: frozenset[int]


class PartitionLag(NamedTuple):
    """Where a partition stands, and what is left of it. None is what is not known."""

    watermark: Offset | None
    position: Offset | None
    log_end: Offset | None
    lag: int | None
    parts: LagParts | None
    seconds: float | None


def blockage(access: Access, now: Now) -> Blockage:
    """Return what the platform and operators keep from starting. A pause of a campaign (429) is a turn that comes."""
    holds = access.holds
    return Blockage(
        everything=access.state(now) is not AccessState.OPEN
        or holds.of_everybody is not None
        or holds.blind_since is not None
        or not holds.was_heard,
        campaigns=holds.held_campaigns() | access.refused.keys(),
    )


class LagReading:
    """The lag of every partition at one moment."""

    def __init__(self, pipeline: Pipeline, partitions: Partitions, now: Now) -> None:
        self._pipeline = pipeline
        self._partitions = partitions
        self._now = now
        self._blockage = blockage(pipeline.access, now)
        self._in_flight = _in_flight(pipeline)

    def of(self, lane: Lane) -> PartitionLag:
        """Return the lag of one partition."""
        partitions, partition = self._partitions, lane.partition
        log_end, position = partitions.log_ends.get(partition), None
        watermark = reached = partitions.known_done.get(partition)
        if lane.started:
            watermark, position = lane.watermark.value, lane.watermark.position
            reached = position
            log_end = None if log_end is None else max(log_end, position)  # it was read some seconds ago
        backlog = None if log_end is None or reached is None else max(0, log_end - reached)
        return PartitionLag(
            watermark=watermark,
            position=position,
            log_end=log_end,
            lag=None if backlog is None else backlog + lane.parked.count + lane.held_events,
            parts=None if backlog is None else self._parts(lane, backlog),
            seconds=None if backlog is None or reached is None else self._seconds(lane, backlog, reached),
        )

    def _parts(self, lane: Lane, backlog: int) -> LagParts:
        is_stopped = lane.refused is not None or lane.partition in self._partitions.stopped
        by_campaign = self._pipeline.queue.waiting_events.of(lane.partition)
        waiting, in_flight = sum(by_campaign.values()), self._in_flight[lane.partition]
        blocked = waiting
        if lane.may_send and not is_stopped and not self._blockage.everything:
            blocked = self._blocked_of(by_campaign)
        return LagParts(
            backlog=0 if is_stopped else backlog,
            parked=lane.parked.count,
            in_window=lane.held_events - waiting - in_flight - lane.settling_events,
            queued=waiting - blocked,
            in_flight=in_flight,
            blocked=blocked + (backlog if is_stopped else 0),
            settling=lane.settling_events,
        )

    def _blocked_of(self, by_campaign: Mapping[int, int]) -> int:
        campaigns = self._blockage.campaigns
        if not campaigns:
            return 0
        return sum(count for campaign_id, count in by_campaign.items() if campaign_id in campaigns)

    def _seconds(self, lane: Lane, backlog: int, reached: Offset) -> float | None:
        """Return the age of the oldest record without an acknowledged result."""
        if not backlog and not lane.held_events and not lane.parked:
            return 0.0
        unread = self._partitions.unread
        if lane.held_events or lane.parked:
            timestamp_ms = oldest_waited_for(lane)
        else:
            timestamp_ms = unread.timestamp_ms(lane.partition, reached)
        if timestamp_ms is None or timestamp_ms < 0:
            return None
        return round(max(0.0, self._now.wall - timestamp_ms / 1000), 3)


def oldest_waited_for(lane: Lane) -> int | None:
    """Return the timestamp in Kafka of the record that the watermark waits for; None where nothing is in hand or parked.

    It is parked, has its outcome, or stands first among those that have none: all that was admitted before it is done.
    """
    offset = lane.watermark.value
    if offset == lane.watermark.parked.first:
        return lane.parked.first_ms
    settlement = lane.settling.get(offset)
    if settlement is not None:
        return settlement.first.timestamp_ms
    return next((event.timestamp_ms for event in lane.in_hand.values() if event.offset == offset), None)


def total_lag(partitions: Iterable[PartitionStatus]) -> tuple[int | None, LagParts | None, float | None]:
    """Return lag, parts and seconds of all partitions for which they are known."""
    shown = list(partitions)
    lags = [one["lag"] for one in shown if one["lag"] is not None]
    seconds = [one["lag_seconds"] for one in shown if one["lag_seconds"] is not None]
    parts = [one["lag_parts"] for one in shown if one["lag_parts"] is not None]
    if shown and not lags:
        return None, None, None
    total = LagParts(
        backlog=sum(part["backlog"] for part in parts),
        parked=sum(part["parked"] for part in parts),
        in_window=sum(part["in_window"] for part in parts),
        queued=sum(part["queued"] for part in parts),
        in_flight=sum(part["in_flight"] for part in parts),
        blocked=sum(part["blocked"] for part in parts),
        settling=sum(part["settling"] for part in parts),
    )
    return sum(lags), total, max(seconds, default=None if shown else 0.0)


def _in_flight(pipeline: Pipeline) -> Counter[Partition]:
    counts: Counter[Partition] = Counter()
    for _, parts in pipeline.delivery.out():
        for lane, members in parts.values():
            if not lane.dropped:
                counts[lane.partition] += len(members)
    return counts

"""By how much the service is late. Its own waits are no lateness: windows that collect, events that operators hold.

An event that is scheduled is sent at once, with its schedule: the platform keeps it, and it is not late here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from consumer.core.event import Event
from consumer.core.journal.lane import Lane
from consumer.core.pipeline import Pipeline
from consumer.core.platform.holds import Holds
from consumer.core.policy import Policies
from consumer.core.terms import Now, Offset, Partition

MOST_LOOKED_AT = 20_000
"""Events of a partition that are held, or in windows longer than usual, before one is found that is neither: some 2 ms."""

Unread = Callable[[Lane], int | None]
"""Returns the timestamp in Kafka of a partition's first unread record, None where there is none or it is not known."""


def late_seconds(pipeline: Pipeline, policies: Policies, now: Now, *, unread: Unread) -> float:
    """Return by how much the oldest record without an acknowledged result is later than its window explains.

    0.0 where nothing is late, or no record tells since when it waits.
    """
    return _latest(pipeline.lanes.values(), pipeline, policies, now, unread=unread)


def urgent_late_seconds(pipeline: Pipeline, policies: Policies, now: Now, *, unread: Unread) -> float | None:
    """Return the same of urgent topics alone; None where there are none."""
    if not policies.urgent_topics:
        return None
    urgent = (lane for lane in pipeline.lanes.values() if lane.partition.topic in policies.urgent_topics)
    return _latest(urgent, pipeline, policies, now, unread=unread)


def _latest(lanes: Iterable[Lane], pipeline: Pipeline, policies: Policies, now: Now, *, unread: Unread) -> float:
    delays = [0.0]
    for lane in lanes:
        if lane.parked:
            delays += _parked_delays(lane, pipeline.access.holds, policies, now)
        if lane.held_events:
            delays += _delays(lane, pipeline.access.holds, policies, now)
        elif (timestamp_ms := unread(lane)) is not None:
            is_urgent = lane.partition.topic in policies.urgent_topics
            delays.append(_delay(timestamp_ms, 0.0 if is_urgent else policies.default.window_seconds, now))
    return max(delays)


def unread_records(pipeline: Pipeline, log_ends: Mapping[Partition, Offset]) -> int:
    """Return how many records of partitions at work were not read yet, by the ends that the logs had some seconds ago."""
    started = (lane for lane in pipeline.lanes.values() if lane.started)
    return sum(max(0, log_ends.get(lane.partition, 0) - lane.watermark.position) for lane in started)


def _delays(lane: Lane, holds: Holds, policies: Policies, now: Now) -> Iterator[float]:
    """Yield the delays of the oldest records in hand: those behind them are younger, and no later."""
    if holds.of_everybody is not None:
        return
    settlement = lane.settling.get(lane.watermark.value)
    if settlement is not None:
        first, campaign_id = settlement.first, settlement.campaign_id
        waits = campaign_id is not None and not (isinstance(first, Event) and first.immediate)
        window = policies.of(campaign_id).window_seconds if waits and campaign_id is not None else 0.0
        yield _delay(first.timestamp_ms, window, now)
    if lane.held_back.events >= len(lane.in_hand):
        return
    held = holds.held_campaigns()
    for event in islice(lane.in_hand.values(), MOST_LOOKED_AT):
        campaign_id = event.group.campaign_id
        if campaign_id not in held:
            window = 0.0 if event.immediate else policies.of(campaign_id).window_seconds
            yield _delay(event.timestamp_ms, window, now)
            if window <= policies.default.window_seconds:
                return


def _parked_delays(lane: Lane, holds: Holds, policies: Policies, now: Now) -> Iterator[float]:
    """Yield the delay of the first range of parked records without one that operators hold; the ranges behind are younger.

    Of a range that holds both, it is not known whose the oldest record is.
    """
    if holds.of_everybody is not None:
        return
    held, is_urgent = holds.held_campaigns(), lane.partition.topic in policies.urgent_topics
    for one in islice(lane.parked.ranges, MOST_LOOKED_AT):
        if held.isdisjoint(one.campaigns):
            windows = (policies.of(campaign_id).window_seconds for campaign_id in one.campaigns)
            yield _delay(one.first_ms, 0.0 if is_urgent else max(windows, default=0.0), now)
            return


def _delay(timestamp_ms: int, window_seconds: float, now: Now) -> float:
    return 0.0 if timestamp_ms < 0 else now.wall - timestamp_ms / 1000 - window_seconds

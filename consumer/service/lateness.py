"""By how much the service is late. Its own waits are no lateness: windows that collect, events that operators hold.

An event that is scheduled is sent at once, with its schedule: the platform keeps it, and it is not late here.
"""

from collections.abc import Iterator, Mapping

from consumer.core.pipeline import Pipeline
from consumer.core.policy import Policies
from consumer.core.terms import Now, Offset, Partition
from consumer.service.lag import OldestRecord, oldest_in_hand
from consumer.service.waiting import WaitingReading


def late_seconds(pipeline: Pipeline, policies: Policies, now: Now) -> float | None:
    """Return by how much the oldest record without an acknowledged result is later than its window explains.

    0.0 where nothing is in hand, None where no record tells since when it waits.
    """
    holds = pipeline.access.holds
    delays: list[float] = []
    in_hand = held = False
    for lane in pipeline.lanes.values():
        if not lane.held_events:
            continue
        in_hand = True
        oldest = oldest_in_hand(lane)
        if oldest is None or oldest.timestamp_ms < 0:
            continue
        if not oldest.has_outcome and oldest.campaign_id is not None and holds.holds_campaign(oldest.campaign_id):
            held = True
            continue
        delays.append(now.wall - oldest.timestamp_ms / 1000 - _window_seconds(oldest, policies))
    if held and holds.of_everybody is None:
        delays += _behind_held_ones(pipeline, policies, now)
    if not in_hand or held:
        delays.append(0.0)
    return max(0.0, *delays) if delays else None


def unread_records(pipeline: Pipeline, log_ends: Mapping[Partition, Offset]) -> int:
    """Return how many records of partitions at work were not read yet, by the ends that the logs had some seconds ago."""
    started = (lane for lane in pipeline.lanes.values() if lane.started)
    return sum(max(0, log_ends.get(lane.partition, 0) - lane.watermark.position) for lane in started)


def _window_seconds(oldest: OldestRecord, policies: Policies) -> float:
    return 0.0 if oldest.campaign_id is None else policies.of(oldest.campaign_id).window_seconds


def _behind_held_ones(pipeline: Pipeline, policies: Policies, now: Now) -> Iterator[float]:
    """Yield how late others are where the oldest of a partition is held: by their time in this process, at least."""
    for waiting in WaitingReading(pipeline, now).campaigns():
        if waiting["why"] != "held":
            yield waiting["oldest_seconds"] - policies.of(int(waiting["campaign"])).window_seconds

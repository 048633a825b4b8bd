"""Counts where every event in hand is, by walking through all of them: what the pipeline's own counters are held against."""

from collections import Counter
from dataclasses import dataclass

from consumer.core.pipeline import Pipeline
from consumer.core.terms import Partition, Ticks
from consumer.service.lag import oldest_waited_for
from tests.core.runner import Runner

Counts = Counter[tuple[Partition, int]]
"""By partition and campaign."""


@dataclass(frozen=True, slots=True)
class Found:
    """Events in hand by stage."""

    in_window: Counter[Partition]
    waiting: Counts
    in_flight: Counter[Partition]
    settling: Counter[Partition]


def walk(pipeline: Pipeline) -> Found:
    """Go through everything that is in hand."""
    windows = pipeline.windows
    waiting: Counts = Counter()
    sends = [*pipeline.queue.sends(), *pipeline.delivery.set_aside()]
    waiting.update((event.partition, event.group.campaign_id) for send in sends for event in send.members)
    for lane in pipeline.lanes.values():
        waiting.update((lane.partition, event.group.campaign_id) for many in lane.repeats.values() for event in many)
        waiting.update(
            (lane.partition, event.group.campaign_id)
            for event in lane.waiting()
            if event in pipeline.waiters._by_campaign.get(event.group.campaign_id, ())  # noqa: SLF001
        )
    return Found(
        in_window=Counter(
            event.partition
            for window in (*windows.open_windows(), *windows.closed)
            for event in window.by_person.values()
        ),
        waiting=waiting,
        in_flight=Counter(
            event.partition
            for _, parts in pipeline.delivery.out()
            for lane, members in parts.values()
            if not lane.dropped
            for event in members
        ),
        settling=Counter(
            {
                lane.partition: sum(len(settlement.offsets) for settlement in lane.settling.values())
                for lane in pipeline.lanes.values()
            }
        ),
    )


def check(pipeline: Pipeline) -> None:
    """Hold the pipeline's counters against what is there."""
    found = walk(pipeline)
    for send in (*pipeline.queue.sends(), *pipeline.delivery.set_aside()):
        assert send.oldest_at == min(event.arrived for event in send.members)
    for window in pipeline.windows.open_windows():
        assert window.oldest_at == min(event.arrived for event in window.by_person.values())
    _check_first_arrivals(pipeline)
    for partition, lane in pipeline.lanes.items():
        counted = pipeline.queue.waiting_events.of(partition)
        there = {campaign: count for (where, campaign), count in found.waiting.items() if where == partition}
        assert dict(counted) == there, partition
        assert lane.settling_events == found.settling[partition]
        parts = (found.in_window, found.in_flight, found.settling)
        assert lane.held_events == sum(counted.values()) + sum(part[partition] for part in parts), partition


class CheckedRunner(Runner):
    """Checks after every turn, and so after every fact."""

    def check(self) -> None:
        """Hold the pipeline's counters, and the age of what it waits for, against what is there."""
        check(self.pipeline)
        for partition, lane in self.pipeline.lanes.items():
            if lane.held_events:
                oldest = self.records[partition.number, lane.watermark.value]
                assert oldest_waited_for(lane) == oldest.timestamp_ms, partition

    def turn(self) -> Ticks | None:
        self.check()
        wake_at = super().turn()
        self.check()
        return wake_at


def _check_first_arrivals(pipeline: Pipeline) -> None:
    """Hold who has waited longest of each campaign against what waits."""
    in_back_off = {send.send_id for send in pipeline.queue.in_back_off()}
    queued: dict[int, Ticks] = {}
    for send in pipeline.queue.sends():
        if send.send_id not in in_back_off:
            queued[send.campaign_id] = min(send.oldest_at, queued.get(send.campaign_id, send.oldest_at))
    behind: dict[int, Ticks] = {}
    for lane in pipeline.lanes.values():
        for event in filter(pipeline.waiters.waits, lane.waiting()):
            campaign_id = event.group.campaign_id
            behind[campaign_id] = min(event.arrived, behind.get(campaign_id, event.arrived))
    for arrivals, there in ((pipeline.queue.first_arrivals, queued), (pipeline.waiters.first_arrivals, behind)):
        _, told = arrivals.eldest(len(there) + 1, blocked=())
        assert told == there

"""A send's members by the partition that each came from, with the lane that it was then. Decides nothing.

A lane may be dropped while its members are out: what the answer says of them belongs to nobody then, save that
they were texted, which the partition's next lane in this process may still have to know.
"""

from collections.abc import Iterable, Mapping, Sequence

from consumer.core.event import Decoded, Event
from consumer.core.journal.lane import Lane
from consumer.core.journal.settling import settle
from consumer.core.outcome import Status, Verdict
from consumer.core.sending.send import Send
from consumer.core.terms import Partition, SendId

Parts = dict[Partition, tuple[Lane, list[Event]]]


def keep_ours(send: Send, parts: Parts) -> None:
    """Let go of members whose partition was lost or given back meanwhile."""
    gone = dropped(parts)
    if gone:
        send.keep([event for event in send.members if event.partition not in gone])


def dropped(parts: Parts) -> set[Partition]:
    """Return the partitions that were lost or given back meanwhile."""
    return {partition for partition, (lane, _) in parts.items() if lane.dropped}


def keep_acceptances(parts: Parts, items: Iterable[tuple[Verdict, Sequence[Event]]]) -> None:
    """Let lanes that were dropped meanwhile know which of their records were accepted."""
    if not dropped(parts):
        return
    for verdict, members in items:
        if verdict.status is Status.ACCEPTED:
            for event in members:
                lane, _ = parts[event.partition]
                if lane.dropped:
                    lane.unrecorded_acceptances[event.offset] = verdict


def settle_each(
    lanes: Mapping[Partition, Lane], items: Iterable[tuple[Verdict, Sequence[Decoded]]], send_id: SendId | None
) -> None:
    """Settle records with their verdicts in the lanes that they belong to; those of lanes that are gone are nobody's."""
    by_lane: dict[Partition, list[tuple[Verdict, list[Decoded]]]] = {}
    for verdict, records in items:
        parts: dict[Partition, list[Decoded]] = {}
        for record in records:
            parts.setdefault(record.partition, []).append(record)
        for partition, part in parts.items():
            by_lane.setdefault(partition, []).append((verdict, part))
    for partition, lane_items in by_lane.items():
        lane = lanes.get(partition)
        if lane is not None:
            settle(lane, lane_items, send_id)

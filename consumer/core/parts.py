"""A send's members by the partition that each came from, with the lane that it was then. Decides nothing.

A lane may be dropped while its members are out: what the answer says of them belongs to nobody then, save that
they were texted, which the partition's next lane in this process may still have to know.
"""

from collections.abc import Iterable, Sequence

from consumer.core.event import Event
from consumer.core.lane import Lane
from consumer.core.outcome import Status, Verdict
from consumer.core.send import Send
from consumer.core.terms import Partition

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
                    lane.heard[event.offset] = verdict

"""Whether partitions with work move, and whether anything outside explains one that does not. Changes nothing.

What explains: a person is waited for, the brokers are in trouble, the platform is slow, refuses us or asks for
patience, a window still collects. What is left is a task of ours that is stuck, and a restart is the cure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from consumer.core.lane import Lane
from consumer.core.ledger import Standing
from consumer.core.pipeline import Pipeline
from consumer.core.terms import Now, Partition, Ticks
from consumer.core.whereabouts import Place, Whereabouts, whereabouts

STILL_SECONDS = 60.0
"""A partition with work that has not moved for so long has to be explained."""

READING_BACK_SECONDS = 300.0
"""A journal of millions of entries takes its time to be read, and tells nothing meanwhile."""


@dataclass(slots=True)
class _Stand:
    sign: tuple[object, ...]
    since: Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else there is to know: `stopped` partitions wait for a person, brokers were in trouble last at."""

    stopped: frozenset[Partition]
    troubled_at: Ticks | None


class Progress:
    """Remembers how each partition stood; to be asked now and then."""

    def __init__(self, pipeline: Pipeline, *, request_seconds: float) -> None:
        """`request_seconds` is what an attempt takes at most, with everything before its first byte."""
        self._pipeline = pipeline
        self._request_seconds = request_seconds
        self._stands: dict[Partition, _Stand] = {}

    def stuck(self, now: Now, around: Surroundings) -> Iterator[str]:
        """Yield a sentence for each partition that stands still for no reason outside this process."""
        lanes = self._pipeline.lanes
        self._stands = {partition: stand for partition, stand in self._stands.items() if partition in lanes}
        for partition, lane in lanes.items():
            if partition in around.stopped or not _has_work(lane):
                self._stands.pop(partition, None)
                continue
            sign = _sign(lane)
            stand = self._stands.get(partition)
            if stand is None or stand.sign != sign:
                self._stands[partition] = _Stand(sign, now.steady)
                continue
            still_seconds = now.steady - stand.since
            if still_seconds > STILL_SECONDS and not is_recent(around.troubled_at, now):
                why = self._why_stuck(lane, now, still_seconds)
                if why is not None:
                    yield f"partition {partition} has not moved for {still_seconds:.0f} s: {why}"

    def _why_stuck(self, lane: Lane, now: Now, still_seconds: float) -> str | None:
        """Return what is stuck; None where something outside explains it."""
        if lane.trouble is not None or lane.refused is not None:
            return None  # its journal does not acknowledge, or a topic does not take what it is given
        match lane.ledger.standing:
            case Standing.LOOKING:
                return "its journal is not looked at"
            case Standing.UNSURE | Standing.CLAIMING:
                return "its claim is not written"
            case Standing.TAKING_OVER:
                return "its journal is not read" if still_seconds > READING_BACK_SECONDS else None
            case Standing.CHECKING:
                return "a gap in its journal is not read"
            case Standing.LOST | Standing.RECREATED:
                return "it is not claimed again"
            case Standing.OWNED if lane.overdue or not lane.held_events:
                return "an append to its journal has neither landed nor failed"
            case Standing.OWNED:
                found = whereabouts(self._pipeline, lane)
                return None if self._is_explained(found, now) else f"its oldest event {found.place.value}"

    def _is_explained(self, found: Whereabouts, now: Now) -> bool:
        pipeline = self._pipeline
        match found.place:
            case Place.WINDOW:
                return pipeline.windows.next_wake_at() is not None
            case Place.QUEUE:
                queue = pipeline.queue
                a_while_ago = now._replace(
                    steady=Ticks(now.steady - STILL_SECONDS)
                )  # what is due now has its turn soon
                waits = queue.in_flight > 0 or queue.next_wake_at(a_while_ago) is not None
                return waits or not pipeline.delivery.starting or pipeline.access.one_at_a_time
            case Place.SET_ASIDE:
                return any(lane.leaving for lane in pipeline.lanes.values())
            case Place.PROVING:
                return True  # it is called off after two seconds by the task that asks for its next turn
            case Place.POSTING:
                assert found.since is not None
                return now.steady - found.since <= self._request_seconds + STILL_SECONDS
            case Place.WRITING | Place.PUBLISHING | Place.NOWHERE:
                return False


def is_recent(troubled_at: Ticks | None, now: Now) -> bool:
    """Return whether trouble was told of not so long ago that it explains nothing any more."""
    return troubled_at is not None and now.steady - troubled_at <= STILL_SECONDS


def _has_work(lane: Lane) -> bool:
    return not lane.started or lane.held_events > 0 or not lane.ledger.idle


def _sign(lane: Lane) -> tuple[object, ...]:
    """What changes whenever a partition moves."""
    watermark = lane.watermark
    return (lane, lane.ledger.standing, watermark.value, watermark.position, lane.held_events, lane.publishing)

"""Whether partitions with work make progress, and why one does not. Changes nothing.

The reason may be outside: brokers are in trouble, or the platform is slow, refuses us or asks for a pause. Then `/readyz`
names it. Otherwise a task of this process is stuck, and `/healthz` fails, because a restart is the cure. No partition
stalls for longer than it may while both probes succeed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import OwnershipState
from consumer.core.pipeline import Pipeline
from consumer.core.standstill import StandstillExplanation, WaitingPlace, explain_standstill
from consumer.core.terms import Now, Offset, Partition, Ticks

STILL_SECONDS = 60.0
"""A partition with work that has made no progress for this long is stalled, and needs an explanation."""

READING_BACK_SECONDS = 300.0
"""The same while a journal is read: millions of entries take minutes, without visible progress."""


class Cause(Enum):
    """Where the reason of a standstill lies."""

    OURS = auto()
    """A task of this process is stuck: `/healthz` fails."""
    OUTSIDE = auto()
    """Something outside of this process, or work that takes long: `/readyz` names it."""


@dataclass(slots=True)
class _Unchanged:
    state: tuple[object, ...]
    since: Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """A partition that has work and has made no progress for longer than it may."""

    partition: Partition
    seconds: float
    cause: Cause
    why: str

    def __str__(self) -> str:
        return f"partition {self.partition} has not moved for {self.seconds:.0f} s: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else has to be known to explain a standstill."""

    stopped: frozenset[Partition]
    """Partitions that wait for a person."""
    troubled_at: Ticks | None
    """When brokers were last in trouble."""
    assigned: frozenset[Partition] = frozenset()
    """The partitions that are assigned to us, with or without a lane."""
    log_ends: Mapping[Partition, Offset] = field(default_factory=dict)
    paused: frozenset[Partition] = frozenset()
    unreadable: Collection[str] = ()
    """Events topics that cannot be read; `/readyz` names them in reasons of their own."""


_Why = tuple[Cause, str]


class Progress:
    """Remembers since when each partition's state is unchanged; to be asked now and then."""

    def __init__(self, pipeline: Pipeline, *, request_seconds: float) -> None:
        """`request_seconds` is the longest that an attempt takes, with everything before its first byte."""
        self._pipeline = pipeline
        self._request_seconds = request_seconds
        self._unchanged: dict[Partition, _Unchanged] = {}

    def standstills(self, now: Now, around: Surroundings) -> Iterator[Standstill]:
        """Yield each partition that is stalled, except for those that `/readyz` names for another reason."""
        lanes = self._pipeline.lanes
        known = lanes.keys() | around.assigned
        self._unchanged = {partition: entry for partition, entry in self._unchanged.items() if partition in known}
        for partition in sorted(known):
            lane = lanes.get(partition)
            if partition in around.stopped or (lane is not None and not _has_work(lane, around)):
                self._unchanged.pop(partition, None)
                continue
            state = (None,) if lane is None else _state(lane)
            entry = self._unchanged.get(partition)
            if entry is None or entry.state != state:
                self._unchanged[partition] = _Unchanged(state, now.steady)
                continue
            seconds = now.steady - entry.since
            found = self._why(lane, now, around, seconds) if seconds > STILL_SECONDS else None
            if found is not None:
                cause, why = found
                yield Standstill(partition=partition, seconds=seconds, cause=cause, why=why)

    def _why(self, lane: Lane | None, now: Now, around: Surroundings, seconds: float) -> _Why | None:
        """Return why a partition makes no progress; None where that may take so long, or is reported elsewhere."""
        if lane is not None and (lane.trouble is not None or lane.refused is not None):
            return None  # `/readyz` reports an append without acknowledgement and a refused write by itself
        found = (Cause.OURS, "it is not claimed") if lane is None else self._why_lane(lane, now, around, seconds)
        if found is not None and found[0] is Cause.OURS and is_recent(around.troubled_at, now):
            return Cause.OUTSIDE, f"{found[1]}, while there is trouble with the brokers: see the log"
        return found

    def _why_lane(self, lane: Lane, now: Now, around: Surroundings, seconds: float) -> _Why | None:
        match lane.ledger.standing:
            case OwnershipState.LOOKING:
                return Cause.OURS, "its journal is not looked at"
            case OwnershipState.UNSURE | OwnershipState.CLAIMING:
                return Cause.OURS, "its claim is not written"
            case OwnershipState.TAKING_OVER:
                is_late = seconds > READING_BACK_SECONDS
                return (
                    (Cause.OURS, "its journal is not read") if is_late else (Cause.OUTSIDE, "its journal is being read")
                )
            case OwnershipState.CHECKING:
                return Cause.OURS, "a gap in its journal is not read"
            case OwnershipState.LOST | OwnershipState.RECREATED:
                return Cause.OURS, "it is not claimed again"
            case OwnershipState.OWNED if lane.overdue or not (lane.held_events or lane.parked or lane.ledger.idle):
                return Cause.OURS, "an append to its journal has neither landed nor failed"
            case OwnershipState.OWNED if not (lane.held_events or lane.parked):
                return self._why_unread(lane, around)
            case OwnershipState.OWNED:
                found = explain_standstill(self._pipeline, lane, now)
                cause = self._cause(found, now)
                return None if cause is None else (cause, f"its oldest event {found.place.value}")

    def _why_unread(self, lane: Lane, around: Surroundings) -> _Why | None:
        if lane.partition.topic in around.unreadable:
            return None
        if lane.partition in around.paused and not self._pipeline.buffer.has_room:
            return Cause.OUTSIDE, "there is no room for its records: the buffer is full of what waits for the platform"
        return Cause.OURS, "its records are not read"

    def _cause(self, found: StandstillExplanation, now: Now) -> Cause | None:
        pipeline = self._pipeline
        match found.place:
            case WaitingPlace.WINDOW:
                return Cause.OURS if pipeline.windows.next_wake_at() is None else None
            case WaitingPlace.HELD:
                return None  # an operator holds it on purpose
            case WaitingPlace.QUEUE if pipeline.access.holds.is_blind(now):
                return Cause.OUTSIDE
            case WaitingPlace.QUEUE:
                queue = pipeline.queue
                a_while_ago = now._replace(
                    steady=Ticks(now.steady - STILL_SECONDS)
                )  # what has become due only now will be sent soon
                waits = queue.in_flight > 0 or queue.next_wake_at(a_while_ago) is not None
                waits = waits or not pipeline.delivery.starting or pipeline.access.one_at_a_time
                return Cause.OUTSIDE if waits else Cause.OURS
            case WaitingPlace.SET_ASIDE:
                others = pipeline.lanes.values()
                return Cause.OUTSIDE if any(map(_is_held_up, others)) else Cause.OURS
            case WaitingPlace.PARKED | WaitingPlace.PROVING:
                return Cause.OUTSIDE  # an intent without proof is called off after two seconds, in a turn of the engine
            case WaitingPlace.POSTING:
                assert found.since is not None
                return (
                    Cause.OUTSIDE if now.steady - found.since <= self._request_seconds + STILL_SECONDS else Cause.OURS
                )
            case WaitingPlace.NOT_READ_AGAIN | WaitingPlace.WRITING | WaitingPlace.PUBLISHING | WaitingPlace.NOWHERE:
                return Cause.OURS


def is_recent(troubled_at: Ticks | None, now: Now) -> bool:
    """Return whether trouble was reported recently enough to explain a standstill."""
    return troubled_at is not None and now.steady - troubled_at <= STILL_SECONDS


def _is_held_up(lane: Lane) -> bool:
    return lane.leaving or lane.trouble is not None or lane.refused is not None


def _has_work(lane: Lane, around: Surroundings) -> bool:
    if not lane.started or lane.held_events > 0 or lane.parked or not lane.ledger.idle:
        return True
    end = around.log_ends.get(lane.partition)
    return end is not None and end > lane.watermark.position


def _state(lane: Lane) -> tuple[object, ...]:
    """Return what changes whenever a partition makes progress."""
    watermark = lane.watermark
    return (
        lane,
        lane.ledger.standing,
        watermark.value,
        watermark.position,
        lane.held_events,
        lane.parked.count,
        lane.publishing,
    )

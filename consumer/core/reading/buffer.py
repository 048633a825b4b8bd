"""The buffer that all partitions share: what is in it, and which partitions are read. Holds no event itself."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from consumer.core.journal.lane import Lane
from consumer.core.policy import Policies
from consumer.core.reading.read_ahead import ReadAhead
from consumer.core.reading.room import Room
from consumer.core.sending.send_queue import SendQueue
from consumer.core.sending.window import Windows
from consumer.core.stops import Stops
from consumer.core.terms import Now, Partition

LOW_WATER = 0.8
"""Share of the buffer below which paused reading goes on: a pause that ends at once would cost a fetch each time."""


ORDINARY = ""
"""Stands for every topic that is not urgent."""

CAMPAIGN_BYTES = 200
"""What the counts of one campaign's events in one partition take, about."""


class Shortage(NamedTuple):
    """What a full buffer means for reading, and which settings bound what waits: words for people."""

    what: str
    bounded_by: str = "CAMPAIGN_BUFFER__* bounds it"


class EventBuffer:
    """Counts what is in hand of all partitions."""

    def __init__(
        self,
        policies: Policies,
        lanes: Mapping[Partition, Lane],
        *,
        room: Room,
        read_ahead: ReadAhead,
        stops: Stops,
        windows: Windows,
        queue: SendQueue,
    ) -> None:
        self._policies = policies
        self._lanes = lanes
        self._room = room
        self._read_ahead = read_ahead
        self._stops = stops
        self._windows = windows
        self._queue = queue
        self._fading: set[Lane] = set()
        """Dropped lanes whose results are on their way: their records are held until that has ended."""
        self.has_room = True
        """Whether ordinary topics are read at all, as far as the buffer goes."""

    # ---------------------------------------------------------------- what is in it

    @property
    def held_events(self) -> int:
        """Records read whose results are not acknowledged yet."""
        fading = sum(lane.publishing_events for lane in self._fading)
        return fading + sum(lane.held_events for lane in self._lanes.values())

    @property
    def held_bytes(self) -> int:
        """Bytes that those are charged with, what they wait in, and what is known of parked ones."""
        fading = sum(lane.publishing_bytes for lane in self._fading)
        events = fading + sum(_size_bytes(lane) for lane in self._lanes.values())
        return events + self._windows.size_bytes + self._queue.size_bytes

    def dropped(self, lanes: Iterable[Lane]) -> None:
        """Lanes are no longer ours."""
        for lane in lanes:
            self._room.forget(lane)
            if lane.publishing:
                self._fading.add(lane)

    def published(self) -> None:
        """Results were acknowledged."""
        self._read_ahead.stir()
        if self._fading:
            self._fading = {lane for lane in self._fading if lane.publishing}

    def measure(self) -> None:
        """Let the room know how full it is."""
        self._room.measure(self.held_events, self.held_bytes)

    @property
    def room_events(self) -> int:
        """How many records may be read at once. While others are read, what is kept for urgent topics is no room."""
        topic = ORDINARY if self.has_room else next(iter(self._policies.urgent_topics), ORDINARY)
        return self._room.events_for(topic)

    # ---------------------------------------------------------------- who is read

    def readable(self, now: Now) -> set[Partition]:
        """Return the partitions to read from now; the others are to be paused.

        One that is unsure of its owner is not read, nor one whose entries or results the brokers do not take: what it
        cannot bring to its end would fill the buffer that all share.
        """
        self.measure()
        fill = self._room.fill_of(ORDINARY)
        if self._policies.read_ahead:
            self.has_room = self._read_ahead.look(fill, now)
        else:
            self.has_room = fill < (1.0 if self.has_room else LOW_WATER)
        return {partition for partition, lane in self._lanes.items() if self._is_read(lane)}

    def _has_room(self, topic: str) -> bool:
        """Return whether this topic is read, as far as the buffer goes: an urgent one does not wait for the others."""
        if topic in self._policies.urgent_topics:
            return self._policies.read_ahead or not self._room.is_spent(topic)
        return self.has_room

    @property
    def is_read_past(self) -> bool:
        """Whether reading goes on past what has no room in the buffer, or in its campaign's share of it."""
        return self._read_ahead.is_past

    def shortage(self) -> Shortage | None:
        """Return what a full buffer means for reading; None where there is room."""
        if self._policies.read_ahead:
            bounds = sorted({bound for lane in self._lanes.values() if lane.started and (bound := self.bound_of(lane))})
            if bounds:
                names = " and ".join(bounds)
                return Shortage(
                    f"and as much waits or is parked as {names} allows, so nothing more is read of some "
                    "partitions, immediate events neither, until there is room",
                    f"{names} {'bounds' if len(bounds) == 1 else 'bound'} it",
                )
            return (
                Shortage("what has no room is parked until there is some, and immediate events go on")
                if self._read_ahead.is_ahead
                else None
            )
        if self._stops.is_full:
            return Shortage("half of it holds events of held campaigns")
        return None if self.has_room else Shortage("nothing more is read until there is room")

    def bound_of(self, lane: Lane) -> str | None:
        """Return the setting that bounds how far a partition is read past what has no room; None while it may go on."""
        if lane.watermark.ahead >= self._policies.max_ahead:
            return "CAMPAIGN_KAFKA__MAX_AHEAD"
        return None if self._read_ahead.may_park else "half of CAMPAIGN_BUFFER__MAX_BYTES"

    def _is_read(self, lane: Lane) -> bool:
        if not (lane.started and lane.may_send and lane.refused is None and self._has_room(lane.partition.topic)):
            return False
        if self._policies.read_ahead:
            return self.bound_of(lane) is None
        if lane.watermark.ahead >= self._policies.max_ahead:
            return False
        return not (self._stops.is_full and self._stops.held_back(lane)[0])


def _size_bytes(lane: Lane) -> int:
    return lane.held_bytes + CAMPAIGN_BYTES * len(lane.undecided) + lane.parked.size_bytes

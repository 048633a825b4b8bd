"""What campaigns have in hand that may not go on is parked again, where others need the room. Starts nothing, settles nobody.

A campaign may fill its share of the buffer and be held afterwards, or be refused, or asked to wait. What it has in windows
and in the queue goes back to where it stands in its partition, the youngest first, and comes back as anything parked does:
when its campaign may go on, or somebody is due. With each event goes whoever waits behind it, for its person or its ID:
**nothing stays in hand that could overtake an earlier event of its person.** What is out stays, and comes back to the queue.
What has been tried before keeps its history, and its campaign's waits do not make it older.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import ceil
from operator import attrgetter

from consumer.core.event import Event
from consumer.core.history import UNTRIED
from consumer.core.intake.glance import glance_of
from consumer.core.journal.lane import Lane
from consumer.core.journal.parked_range import FromHand
from consumer.core.reading.buffer import ORDINARY, EventBuffer
from consumer.core.reading.read_ahead import LOOSE, TIGHT, ReadAhead
from consumer.core.reading.room import Room
from consumer.core.sending.deadlines import EVENTS_AT_ONCE
from consumer.core.sending.send import Send, SendStage
from consumer.core.sending.window import Window
from consumer.core.stops import Places, Stops
from consumer.core.terms import AT_ONCE, Now, Partition, Ticks

LOOK_SECONDS = 0.25
"""How often it is looked for who is in the way."""

MOMENT_SECONDS = 2.0
"""Whoever may go on sooner keeps what it has: it would be read twice for nothing."""

SOON_SECONDS = 0.001
"""What is left of many comes after the facts that have come meanwhile."""


_OFFSET = attrgetter("offset")


class ParkingAgain:
    """Makes room in a tight buffer, so many events at once."""

    def __init__(
        self,
        lanes: Mapping[Partition, Lane],
        room: Room,
        read_ahead: ReadAhead,
        buffer: EventBuffer,
        places: Places,
        stops: Stops,
    ) -> None:
        self._lanes = lanes
        self._room = room
        self._access = room.access
        self._read_ahead = read_ahead
        self._buffer = buffer
        self._places = places
        self._stops = stops
        self._look_at = AT_ONCE
        self._found: list[Window | Send] = []
        """Where what is in the way waits: the last one goes first."""
        self._left = 0
        """So many events may go in this turn yet."""

    def wake_at(self, now: Now) -> Ticks | None:
        """Return when to look again, None while there is room."""
        if self._found:
            return Ticks(now.steady + SOON_SECONDS)
        return max(self._look_at, Ticks(now.steady + SOON_SECONDS)) if self._read_ahead.is_ahead else None

    def make_room(self, now: Now) -> None:
        """Park again what is in the way, until the buffer is no longer tight; whatever operators have stopped ends first."""
        if self._stops.any_called:
            return
        if not self._found:
            if now.steady < self._look_at:
                return
            self._look_at = Ticks(now.steady + LOOK_SECONDS)
            self._forget_what_is_over()
            self._look(now)
        if not self._found:
            return
        self._buffer.measure()
        fill = self._room.fill_of(ORDINARY)
        self._left = min(EVENTS_AT_ONCE, ceil(self._buffer.held_events * (1.0 - LOOSE / max(LOOSE, fill))))
        if not self._left:
            self._found = []
        while self._found and self._left > 0:
            place = self._found[-1]
            if not self._is_in_the_way(place, now) or self._park(place, now):
                self._found.pop()

    def _look(self, now: Now) -> None:
        """Look for who is in the way: of whoever has the most, the youngest last, and of whom nothing can go on soon."""
        if not (self._read_ahead.is_ahead and self._read_ahead.may_park):
            return
        self._buffer.measure()
        if self._room.fill_of(ORDINARY) < TIGHT or self._access.shut_until(now) > now.steady + MOMENT_SECONDS:
            return  # or nobody at all may go on, whoever has the room
        places: dict[int, list[Window | Send]] = {
            campaign_id: [] for campaign_id in self._room.blocked(now, seconds=MOMENT_SECONDS)
        }
        if not places:
            return
        for send in self._places.queue.in_back_off():
            if send.campaign_id in places:
                places[send.campaign_id].append(send)
        for campaign_id, mine in places.items():
            mine.extend(self._places.queue.of_campaign(campaign_id))
        for window in self._places.windows.open_windows():
            if window.campaign_id in places:
                places[window.campaign_id].append(window)
        self._found = [place for mine in places.values() for place in mine]

    def _is_in_the_way(self, place: Window | Send, now: Now) -> bool:
        """Return whether what was found waits there still, and for long."""
        if not self._is_stopped(place.campaign_id, now):
            return False
        if isinstance(place, Window):
            return place in self._places.windows.open_windows()  # a new owner of other partitions knows none of these
        return place.stage is SendStage.QUEUED and self._places.queue.find(place.members[0]) is place

    def _park(self, place: Window | Send, now: Now) -> bool:
        """Park again what waits here, and before it whoever waits behind; return False where that was all for this turn."""
        members = list(place.by_person.values() if isinstance(place, Window) else place.members)
        going = [event for event in members if self._clear_behind(event, now)]
        if len(going) < len(members) and self._left <= 0:
            return False
        if self._is_needed(place.campaign_id, going):
            del going[0]
        if isinstance(place, Window):
            for event in going:
                self._places.windows.take_out(event)
        else:
            leaving = set(map(id, going))
            self._places.queue.waiting_events.remove_members(place.campaign_id, going)
            place.keep([event for event in members if id(event) not in leaving])
            self._places.delivery.forget_empty([place])
        for event in going:
            del self._lanes[event.partition].persons[event.person]
            self._places.waiters.forget_newer(event)
        self._leave(going)
        return True

    def _is_needed(self, campaign_id: int, events: Sequence[Event]) -> bool:
        """Return whether one of these stays: by nothing else is it found out that a refused campaign is let in again."""
        return campaign_id in self._access.refused and 0 < self._room.in_hand(campaign_id) <= len(events)

    # ---------------------------------------------------------------- who goes along

    def _clear_behind(self, event: Event, now: Now) -> bool:
        """Park again whoever waits behind an event, the last one first; return whether nobody does any more."""
        lane = self._lanes[event.partition]
        queue = lane.persons[event.person]
        waiters = self._places.waiters
        if type(queue) is deque:
            assert queue[0] is event
            while len(queue) > 1:
                if self._left <= 0:
                    return False
                last = queue[-1]
                if not waiters.forget_settled(last):  # else its outcome is on its way, and it needs no turn
                    if not self._clear_repeats(lane, last, now):
                        return False
                    waiters.forget([last])
                    self._leave([last])
                queue.pop()
            lane.persons[event.person] = event
        return self._clear_repeats(lane, event, now)

    def _clear_repeats(self, lane: Lane, event: Event, now: Now) -> bool:
        """Park again what repeats an event; return whether nothing does any more.

        Of a campaign that may go on, it would come back at once, and the event with it: both stay.
        """
        repeats = lane.repeats.get(event.fingerprint, [])
        going: list[Event] = []
        while repeats and self._left > len(going) and self._is_stopped(repeats[-1].group.campaign_id, now):
            going.append(repeats.pop())
        if going:
            self._places.queue.waiting_events.remove_each(going)
            self._leave(going)
            if not repeats:
                del lane.repeats[event.fingerprint]
        return not repeats

    def _is_stopped(self, campaign_id: int, now: Now) -> bool:
        return self._room.is_blocked(campaign_id, now, seconds=MOMENT_SECONDS)

    # ---------------------------------------------------------------- out of hand

    def _leave(self, events: Sequence[Event]) -> None:
        """These wait nowhere any more: let them be parked where they stand."""
        self._left -= len(events)
        parts: dict[Partition, list[Event]] = {}
        for event in events:
            parts.setdefault(event.partition, []).append(event)
            if event.history is not UNTRIED:
                self._places.queue.awaited.add(event.group.campaign_id)
        for partition, part in parts.items():
            lane = self._lanes[partition]
            part.sort(key=_OFFSET)
            records = [FromHand(event.offset, event.timestamp_ms, glance_of(event)) for event in part]
            lane.park_again(part, records)
            self._room.parked_again(lane, part)
        self._read_ahead.parked_again()

    def _forget_what_is_over(self) -> None:
        """Let campaigns be forgotten of which nothing that was tried can come back any more."""
        awaited = self._places.queue.awaited
        for campaign_id in list(awaited):
            if not self._room.in_hand(campaign_id) and not any(
                campaign_id in lane.parked.campaigns for lane in self._lanes.values()
            ):
                awaited.remove(campaign_id)
                self._access.forget(campaign_id)

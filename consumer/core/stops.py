"""Events that wait although operators have cancelled or rejected them: settles them, so many at once. Starts nothing.

Also knows which events in hand belong to campaigns that are held: they may take half of the buffer, and no more.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from consumer.core.event import Decoded, Event
from consumer.core.journal.lane import Lane
from consumer.core.outcome import Verdict
from consumer.core.platform.control import ControlRecord
from consumer.core.platform.holds import Changed, Holds
from consumer.core.policy import Policies
from consumer.core.sending.deadlines import EVENTS_AT_ONCE
from consumer.core.sending.delivery import Delivery
from consumer.core.sending.parts import settle_each
from consumer.core.sending.send_queue import SendQueue
from consumer.core.sending.settle import closing_verdict, stopped
from consumer.core.sending.waiters import Waiters
from consumer.core.sending.window import Windows
from consumer.core.terms import Now, Partition, Ticks


class Places(NamedTuple):
    """Where events wait."""

    windows: Windows
    queue: SendQueue
    delivery: Delivery
    waiters: Waiters


class Stops:
    """What operators' words do to what is in hand."""

    def __init__(
        self,
        policies: Policies,
        holds: Holds,
        lanes: Mapping[Partition, Lane],
        places: Places,
    ) -> None:
        self._policies = policies
        self._holds = holds
        self._lanes = lanes
        self._places = places
        self._called: deque[Event] = deque()
        """In hand when somebody cancelled or rejected them: each is looked at once."""

    # ---------------------------------------------------------------- hearing

    def heard(self, records: Sequence[ControlRecord], as_of: Ticks, now: Now) -> Changed:
        """Take in what was read of the control topic, up to the end that it had at `as_of`; return what it changes."""
        held_before = self._holds.held_campaigns() if records else frozenset()
        changed = self._holds.heard(records, as_of, now)
        if changed.said:
            self._act_on(changed, self._holds.held_campaigns() - held_before)
        return changed

    def _act_on(self, changed: Changed, held: frozenset[int]) -> None:
        self._places.queue.go_on(changed.released)
        for lane in self._lanes.values():
            for campaign_id in changed.released:
                lane.held_back.forget(campaign_id)
            if held or changed.settles:
                self._look_through(lane, changed, held)

    def _look_through(self, lane: Lane, changed: Changed, held: frozenset[int]) -> None:
        """Go once through what is in hand of a partition: a hold or a cancellation is rare."""
        everybody, campaigns, events = changed.everybody, changed.campaigns, changed.events
        for event_id in events:
            lane.parked.want(event_id)
        for event in lane.in_hand.values():
            campaign_id = event.group.campaign_id
            if everybody or campaign_id in campaigns or event.event_id in events:
                self._called.append(event)
            if campaign_id in held:
                lane.held_back.add(event)
        for repeats in lane.repeats.values() if held else ():
            for event in repeats:
                if event.group.campaign_id in held:
                    lane.held_back.add(event)

    # ---------------------------------------------------------------- settling

    @property
    def any_called(self) -> bool:
        """Whether somebody is still to be looked at."""
        return bool(self._called)

    def close_some(self, now: Now) -> None:
        """Settle those who were called while they waited, so many at once; what is out ends as it ends."""
        lone: list[tuple[Verdict, list[Decoded]]] = []
        in_sends: list[Event] = []
        for event in self._take_called():
            ending = self._holds.ending(event)
            lane = self._lanes.get(event.partition)
            if ending is None or lane is None or lane.in_hand.get(event.fingerprint) is not event:
                continue
            if event.send_id is not None:
                in_sends.append(event)
            elif self._places.windows.take_out(event) or self._places.waiters.settle(event):
                lone.append((closing_verdict(event, stopped(ending, now)), [event]))
        settle_each(self._lanes, lone, None)
        if in_sends:
            self._places.delivery.close_stopped(in_sends, now)

    def _take_called(self) -> Iterator[Event]:
        for _ in range(min(EVENTS_AT_ONCE, len(self._called))):
            yield self._called.popleft()

    # ---------------------------------------------------------------- room

    @property
    def is_full(self) -> bool:
        """Whether events of held campaigns fill their half of the buffer."""
        if not self._holds.any:
            return False
        lanes = self._lanes.values()
        events = sum(self.held_back(lane)[0] for lane in lanes)
        size_bytes = sum(self.held_back(lane)[1] for lane in lanes)
        policies = self._policies
        return events * 2 >= policies.buffer_max_events or size_bytes * 2 >= policies.buffer_max_bytes

    def held_back(self, lane: Lane) -> tuple[int, int]:
        """Return how many events of held campaigns a partition has in hand, and the bytes that they are charged with."""
        if self._holds.of_everybody is not None:
            return (lane.held_events, lane.held_bytes)
        return (lane.held_back.events, lane.held_back.size_bytes)

"""Whose turn it is: immediate first, fair across campaigns, within the limits on concurrency. Never starts a send.

Rate limits, the adaptive limit and the breaker have their place in `_may_start`, beside access.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from consumer.core.access import Access
from consumer.core.event import Event
from consumer.core.policy import Policies
from consumer.core.send import Send
from consumer.core.terms import AT_ONCE, Now, SendId, Ticks

STALE_ENTRIES = 16
"""Entries of the heap of delayed sends that are not in force, beyond as many as there are others."""


@dataclass(slots=True, eq=False)
class _Line:
    """The sends of one campaign, in order and by name: one that is wanted elsewhere is found without a search."""

    campaign_id: int
    max_concurrency: int
    immediate: OrderedDict[SendId, Send] = field(default_factory=OrderedDict)
    normal: OrderedDict[SendId, Send] = field(default_factory=OrderedDict)
    in_flight: int = 0

    def queue(self, send: Send) -> OrderedDict[SendId, Send]:
        return self.immediate if send.immediate else self.normal


class SendQueue:
    """Closed windows and sends that are to be tried again."""

    def __init__(self, policies: Policies, access: Access) -> None:
        self._policies = policies
        self._access = access
        self._lines: dict[int, _Line] = {}
        self._turns: tuple[OrderedDict[int, _Line], OrderedDict[int, _Line]] = (OrderedDict(), OrderedDict())
        """Lines with immediate sends, and with normal ones, in the order of their turns."""
        self._held_until: dict[int, Ticks] = {}
        """Campaigns that the platform asked to pause."""
        self._delayed: list[tuple[Ticks, int, Send, bool]] = []
        """A heap by when each is ready; what was taken out stays until its time, or until the heap is swept."""
        self._waiting: dict[SendId, tuple[int, Send]] = {}
        """Which entries of the heap are in force, by the send's name."""
        self._delayed_count = 0
        self.in_flight = 0
        self.queued = 0

    def put(self, send: Send, now: Now, *, ahead: bool = False) -> None:
        """Queue a send; `ahead` puts it before the others of its campaign (it has been there before)."""
        self.queued += 1
        ready_at = max(send.ready_at, self._held_until.get(send.campaign_id, AT_ONCE))
        if ready_at > now.steady:
            self._delayed_count += 1
            heappush(self._delayed, (ready_at, self._delayed_count, send, ahead))
            self._waiting[send.send_id] = (self._delayed_count, send)
            return
        self._enter(self._line(send.campaign_id), send, ahead=ahead)

    def _line(self, campaign_id: int) -> _Line:
        line = self._lines.get(campaign_id)
        if line is None:
            line = self._lines[campaign_id] = _Line(campaign_id, self._policies.of(campaign_id).max_concurrency)
        return line

    def _enter(self, line: _Line, send: Send, *, ahead: bool) -> None:
        queue, turns = line.queue(send), self._turns[0 if send.immediate else 1]
        turns.setdefault(line.campaign_id, line)
        queue[send.send_id] = send
        if ahead:
            queue.move_to_end(send.send_id, last=False)

    def hold(self, campaign_id: int, until: Ticks, now: Now) -> None:
        """Start nothing of a campaign before `until`: the platform asked for it."""
        self._held_until = {held: end for held, end in self._held_until.items() if end > now.steady}
        self._held_until[campaign_id] = max(self._held_until.get(campaign_id, AT_ONCE), until)

    def pick(self, now: Now) -> Send | None:
        """Take out the send whose turn it is, None where none may start now. It counts as in flight from here on."""
        self._wake(now)
        if self.in_flight >= self._policies.max_concurrency:
            return None
        send = self._pick(now)
        if send is None and self.in_flight == 0 and any(self._turns) and self._access.new_round(now):
            send = self._pick(now)
        return send

    def _pick(self, now: Now) -> Send | None:
        for turns, immediate in zip(self._turns, (True, False), strict=True):
            for _ in range(len(turns)):
                _, line = turns.popitem(last=False)
                if not self._may_start(line, now, immediate=immediate):
                    turns[line.campaign_id] = line
                    continue
                queue = line.immediate if immediate else line.normal
                _, send = queue.popitem(last=False)
                if queue:
                    turns[line.campaign_id] = line
                self.queued -= 1
                self.in_flight += 1
                line.in_flight += 1
                self._access.picked(line.campaign_id, immediate=immediate)
                return send
        return None

    def _may_start(self, line: _Line, now: Now, *, immediate: bool) -> bool:
        return (
            line.in_flight < line.max_concurrency
            and self._held_until.get(line.campaign_id, AT_ONCE) <= now.steady
            and self._access.may_start(
                line.campaign_id,
                now,
                immediate=immediate,
                in_flight=self.in_flight,
                in_flight_of_campaign=line.in_flight,
            )
        )

    def landed(self, send: Send) -> None:
        """Take note that a picked send is no longer in flight."""
        line = self._lines[send.campaign_id]
        line.in_flight -= 1
        self.in_flight -= 1
        self._forget_idle(line)

    def _forget_idle(self, line: _Line) -> None:
        if not (line.in_flight or line.immediate or line.normal):
            del self._lines[line.campaign_id]

    def _wake(self, now: Now) -> None:
        while self._delayed and self._delayed[0][0] <= now.steady:
            _, count, send, ahead = heappop(self._delayed)
            if self._is_in_force(count, send):
                del self._waiting[send.send_id]
                self._enter(self._line(send.campaign_id), send, ahead=ahead)

    def _is_in_force(self, count: int, send: Send) -> bool:
        found = self._waiting.get(send.send_id)
        return found is not None and found[0] == count

    def next_wake_at(self, now: Now) -> Ticks | None:
        """Return when a send may become ready without anything else happening, None where none may.

        What might start at an instant that has passed was picked, or waits for a fact: it needs no timer.
        """
        while self._delayed and not self._is_in_force(*self._delayed[0][1:3]):
            heappop(self._delayed)
        wakes = [self._delayed[0][0]] if self._delayed else []
        if any(self._turns):
            wakes.extend(self._access.wakes())
            wakes.extend(self._held_until.values())
        return min((wake for wake in wakes if wake > now.steady), default=None)

    def sends(self) -> Iterator[Send]:
        """Yield every queued send."""
        for line in self._lines.values():
            yield from line.immediate.values()
            yield from line.normal.values()
        for _, send in self._waiting.values():
            yield send

    def find(self, event: Event) -> Send | None:
        """Return the queued send that holds this event, None where none does."""
        if event.send_id is None:
            return None
        waiting = self._waiting.get(event.send_id)
        if waiting is not None:
            return waiting[1]
        line = self._lines.get(event.group.campaign_id)
        return None if line is None else line.normal.get(event.send_id) or line.immediate.get(event.send_id)

    def promote(self, event: Event) -> None:
        """Make the queued send that holds this event immediate: somebody urgent waits for its outcome."""
        send = self.find(event)
        if send is None or send.immediate:
            return
        send.immediate = True  # one that waits for its time enters the right queue then
        if send.send_id in self._waiting:
            return
        line = self._lines[send.campaign_id]
        del line.normal[send.send_id]
        if not line.normal:
            del self._turns[1][line.campaign_id]
        self._enter(line, send, ahead=True)

    def remove(self, sends: Iterable[Send]) -> None:
        """Take queued sends out: nobody is left in them."""
        for send in sends:
            self.queued -= 1
            if self._waiting.pop(send.send_id, None) is not None:
                continue
            line = self._lines[send.campaign_id]
            queue, turns = line.queue(send), self._turns[0 if send.immediate else 1]
            del queue[send.send_id]
            if not queue:
                del turns[line.campaign_id]
            self._forget_idle(line)
        if len(self._delayed) > 2 * len(self._waiting) + STALE_ENTRIES:
            self._delayed = [entry for entry in self._delayed if self._is_in_force(*entry[1:3])]
            heapify(self._delayed)

    def clear(self) -> None:
        """Forget every queued send."""
        self._delayed, self._waiting, self._turns = [], {}, (OrderedDict(), OrderedDict())
        self.queued = 0
        self._lines = {campaign_id: line for campaign_id, line in self._lines.items() if line.in_flight}
        for line in self._lines.values():
            line.immediate.clear()
            line.normal.clear()

    def in_flight_by_campaign(self) -> dict[int, int]:
        """Return the sends in flight of each campaign that has any."""
        return {line.campaign_id: line.in_flight for line in self._lines.values() if line.in_flight}

"""Whose turn it is: urgent topics' sends, then immediate ones, fair across campaigns, as access and limits allow. Starts none.

A campaign's queue is either ready, or filed under what it waits for: an instant, a probe, a free slot. So a pick never
searches.
"""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush

from consumer.core.event import Event
from consumer.core.platform.access import Access
from consumer.core.platform.answer import Exchange
from consumer.core.policy import Policies
from consumer.core.sending.backlog import STALE_ENTRIES, Backlog, FairRing, Fifo, Rank, TimerHeap, Where
from consumer.core.sending.first_arrivals import FirstArrivals
from consumer.core.sending.send import QueueEnd, Send
from consumer.core.sending.waiting_events import WaitingEvents
from consumer.core.terms import NEVER, Instant, Now, SendId, Ticks

SEND_BYTES = 1_200
"""What a queued send is charged with, and what knows when it is due and who may join it."""

LINE_BYTES = 1_350
"""What a campaign with queued sends is charged with. `tests/core/test_memory.py` holds both against what is held."""


class SendQueue:
    """Closed windows and sends that are to be tried again."""

    def __init__(self, policies: Policies, access: Access) -> None:
        self._policies = policies
        self._access = access
        self._lines: dict[int, Backlog] = {}
        self._ready = _rings()
        self._immediate: set[SendId] = set()
        """Those in flight that were picked as immediate."""
        self._urgent: set[SendId] = set()
        """Of those, the urgent topics'."""
        self._asleep = TimerHeap(Where.ASLEEP)
        self._probed = TimerHeap(Where.PROBED)
        self._delayed: list[tuple[Ticks, int, Send, QueueEnd]] = []
        """A heap by when each is ready; what was taken out stays until its time, or until the heap is swept."""
        self._waiting: dict[SendId, tuple[int, Send]] = {}
        """Which entries of the heap are in force, by the send's name."""
        self._delayed_count = 0
        self._idle: list[Backlog] = []
        self.in_flight = 0
        self.queued = 0
        self.rate_limited_since: Instant | None = None
        """Since when sends wait because as much as may start in a second has started; None where none does."""
        self.squeezed_since: Instant | None = None
        """Since when sends wait for a slot that the platform could not take; None where none does."""
        self.awaited: set[int] = set()
        """Campaigns of which something is parked that was tried: nobody forgets what they went through."""
        self.waiting_events = WaitingEvents()
        self.first_arrivals = FirstArrivals(self._first_arrival)
        """Of sends that wait for their turn, those in their back-off apart."""

    @property
    def size_bytes(self) -> int:
        """Bytes charged to the buffer for all that is queued, its events apart."""
        return self.queued * SEND_BYTES + len(self._lines) * LINE_BYTES

    def put(self, send: Send, now: Now, end: QueueEnd = QueueEnd.BACK) -> None:
        """Queue a send at one end of its campaign's queue, now or when it is ready."""
        self.queued += 1
        line = self._line(send.campaign_id)
        self._access.waits(send.campaign_id, now)
        if send.ready_at > now.steady:
            line.delayed += 1
            self._delayed_count += 1
            heappush(self._delayed, (send.ready_at, self._delayed_count, send, end))
            self._waiting[send.send_id] = (self._delayed_count, send)
            return
        self._enter(line, send, end)

    def _line(self, campaign_id: int) -> Backlog:
        line = self._lines.get(campaign_id)
        if line is None:
            limit, weight = self._access.limits.of(campaign_id), self._policies.of(campaign_id).weight
            line = self._lines[campaign_id] = Backlog(campaign_id, limit, weight)
        return line

    def _enter(self, line: Backlog, send: Send, end: QueueEnd) -> None:
        queue = line.queue(send)
        queue.sends[send.send_id] = send
        self.first_arrivals.came(send.campaign_id, send.oldest_at)
        if end is QueueEnd.FRONT:
            queue.sends.move_to_end(send.send_id, last=False)
        if queue.where is Where.IDLE:
            self._join_ring(queue)

    def _join_ring(self, queue: Fifo) -> None:
        self._ring(queue).join(queue)

    def _ring(self, queue: Fifo) -> FairRing:
        return self._ready[queue.rank]

    # ---------------------------------------------------------------- whose turn it is

    def pick(self, now: Now) -> Send | None:
        """Take out the send whose turn it is, None where none may start now. It counts as in flight from here on."""
        self._wake(now)
        access = self._access
        if self.in_flight >= access.limits.concurrency.current or access.shut_until(now) > now.steady:
            self._note_limits(now)
            return None
        if access.one_at_a_time and self.in_flight:
            return None
        queue = self._next_to_probe(now) if access.by_turns else self._next(now)
        if queue is None:
            self.rate_limited_since = None
            self._note_squeeze(now)
            return None
        _, send = queue.sends.popitem(last=False)
        self.first_arrivals.left(send.campaign_id)
        self._ring(queue).charge(queue, len(send.members))
        if queue.sends:
            self._join_ring(queue)
        else:
            queue.where = Where.IDLE
        self.queued -= 1
        self.in_flight += 1
        queue.line.in_flight += 1
        if queue.rank is not Rank.OTHER:
            self._immediate.add(send.send_id)
        if queue.rank is Rank.URGENT:
            self._urgent.add(send.send_id)
        access.picked(send.campaign_id, len(send.members), now, crowd=len(self._lines))
        return send

    def _note_limits(self, now: Now) -> None:
        """Take note of which limit lets what is ready wait."""
        if not any(self._ready):
            return
        if self.in_flight >= self._access.limits.concurrency.current:
            self._note_squeeze(now)
        elif self._access.limits.free_at(now) > now.steady:
            self.rate_limited_since = self.rate_limited_since or now.wall

    def _note_squeeze(self, now: Now) -> None:
        """Take note of whether what is ready waits for a slot that the platform could not take."""
        concurrency = self._access.limits.concurrency
        is_squeezed = any(self._ready) and concurrency.current < concurrency.maximum
        self.squeezed_since = (self.squeezed_since or now.wall) if is_squeezed else None

    def _next(self, now: Now) -> Fifo | None:
        limits, (urgent, immediate, others) = self._access.limits, self._ready
        found = self._take(urgent, now)
        if found is not None or self.in_flight - len(self._urgent) >= limits.for_immediate:
            return found
        found = self._take(immediate, now)
        if found is not None or self.in_flight - len(self._immediate) >= limits.for_others:
            return found
        return self._take(others, now)

    def _take(self, ring: FairRing, now: Now) -> Fifo | None:
        while (queue := ring.take()) is not None:
            if not self._defer_if_blocked(queue, now):
                return queue
        return None

    def _next_to_probe(self, now: Now) -> Fifo | None:
        """Return whose turn it is as the probe: those who were not tried first."""
        for ring in self._ready:
            while (queue := ring.take()) is not None:
                if self._defer_if_blocked(queue, now):
                    continue
                again_at = self._access.turn_at(queue.turn)
                if again_at is None:
                    return queue
                self._probed.add(queue, again_at)
        while (tried := self._probed.due(now)) is not None:
            if not self._defer_if_blocked(tried, now):
                return tried
        return None

    def _defer_if_blocked(self, queue: Fifo, now: Now) -> bool:
        """Let a queue wait for what it has to wait for; False where it may go."""
        line = queue.line
        again_at = self._access.campaign_free_at(line.campaign_id, now)
        if again_at > now.steady:
            self._asleep.add(queue, again_at)
            return True
        at_once = 1 if line.campaign_id in self._access.refused else line.limit.current
        if line.in_flight >= at_once:
            queue.where = Where.BLOCKED
            return True
        return False

    def attempt_ended(self, send: Send) -> None:
        """Take note that a picked send is no longer in flight: what its campaign waits for may be over."""
        line = self._lines[send.campaign_id]
        line.in_flight -= 1
        self.in_flight -= 1
        self._immediate.discard(send.send_id)
        self._urgent.discard(send.send_id)
        for queue in line.queues:
            if queue.where is Where.ASLEEP:
                self._asleep.gone()
                self._join_ring(queue)
            elif queue.where is Where.BLOCKED:
                self._join_ring(queue)
        if line.idle:
            self._idle.append(line)

    def go_on(self, campaigns: Iterable[int]) -> None:
        """Operators have released these: they have their turns again."""
        for campaign_id in campaigns:
            line = self._lines.get(campaign_id)
            for queue in line.queues if line is not None else ():
                if queue.where is Where.ASLEEP:
                    self._asleep.gone()
                    self._join_ring(queue)

    def _forget_idle(self) -> None:
        """Forget campaigns that nothing waits of any more; what has landed may have been put back since."""
        idle, self._idle = self._idle, []
        for line in idle:
            if line.idle and self._lines.get(line.campaign_id) is line:
                del self._lines[line.campaign_id]
                self.first_arrivals.forget(line.campaign_id)
                if line.campaign_id not in self.awaited:
                    self._access.forget(line.campaign_id)

    def _wake(self, now: Now) -> None:
        if self._idle:
            self._forget_idle()
        while self._delayed and self._delayed[0][0] <= now.steady:
            _, count, send, end = heappop(self._delayed)
            if self._is_in_force(count, send):
                del self._waiting[send.send_id]
                line = self._lines[send.campaign_id]
                line.delayed -= 1
                self._enter(line, send, end)
        while (queue := self._asleep.due(now)) is not None:
            self._join_ring(queue)
        if not self._access.by_turns and self._probed.next_at() is not None:
            for queue in self._probed.all():
                self._join_ring(queue)

    def _is_in_force(self, count: int, send: Send) -> bool:
        found = self._waiting.get(send.send_id)
        return found is not None and found[0] == count

    def next_wake_at(self, now: Now) -> Ticks | None:
        """Return when a send may become ready without anything else happening, None where none may.

        What might start at an instant that has passed was picked, or waits for a fact: it needs no timer.
        """
        while self._delayed and not self._is_in_force(*self._delayed[0][1:3]):
            heappop(self._delayed)
        delayed_at = self._delayed[0][0] if self._delayed else None
        shut_until = self._access.shut_until(now)
        wakes = [delayed_at, self._asleep.next_at(), self._probed.next_at(), shut_until if any(self._ready) else None]
        due = (max(wake, shut_until) for wake in wakes if wake is not None)
        return min((wake for wake in due if now.steady < wake < NEVER), default=None)

    # ---------------------------------------------------------------- what waits

    def _first_arrival(self, campaign_id: int) -> Ticks | None:
        line = self._lines.get(campaign_id)
        queues = () if line is None else [queue.sends for queue in line.queues if queue.sends]
        # Read as plain dicts, ten times as fast: their order does not matter here.
        return min([send.oldest_at for sends in queues for send in dict.values(sends)], default=None)

    def in_back_off(self) -> Iterator[Send]:
        """Yield the sends that wait for their time before they wait for their turn."""
        for _, send in self._waiting.values():
            yield send

    def sends(self) -> Iterator[Send]:
        """Yield every queued send."""
        for line in self._lines.values():
            for queue in line.queues:
                yield from queue.sends.values()
        yield from self.in_back_off()

    def holds(self, campaign_id: int) -> bool:
        """Return whether anything of a campaign is queued."""
        line = self._lines.get(campaign_id)
        return line is not None and bool(line.delayed or line.any_ready)

    def of_campaign(self, campaign_id: int) -> Iterator[Send]:
        """Yield a campaign's queued sends, those in their back-off apart."""
        line = self._lines.get(campaign_id)
        for queue in line.queues if line is not None else ():
            yield from queue.sends.values()

    def find(self, event: Event) -> Send | None:
        """Return the queued send that holds this event, None where none does."""
        name = event.send_id
        if name is None:
            return None
        waiting = self._waiting.get(name)
        if waiting is not None:
            return waiting[1]
        line = self._lines.get(event.group.campaign_id)
        queues = () if line is None else reversed(line.queues)  # most are in the last
        return next((send for queue in queues if (send := queue.sends.get(name)) is not None), None)

    def promote(self, event: Event) -> None:
        """Make the queued send that holds this event immediate: somebody urgent waits for its outcome."""
        send = self.find(event)
        if send is None or send.immediate:
            return
        if send.send_id in self._waiting:  # it enters the right queue at its time
            self.hasten(send)
            return
        self._take_out(send)
        self.hasten(send)
        self._enter(self._lines[send.campaign_id], send, QueueEnd.FRONT)

    def hasten(self, send: Send) -> None:
        """Let a send that is filed nowhere be immediate from now on."""
        send.immediate, send.urgent = True, self._policies.are_urgent(send.members)

    def _take_out(self, send: Send) -> None:
        queue = self._lines[send.campaign_id].queue(send)
        del queue.sends[send.send_id]
        self.first_arrivals.left(send.campaign_id)
        if queue.sends:
            return
        if queue.where is Where.RING:
            self._ring(queue).gone()
        elif queue.where is Where.ASLEEP:
            self._asleep.gone()
        elif queue.where is Where.PROBED:
            self._probed.gone()
        queue.where = Where.IDLE

    def remove(self, sends: Iterable[Send]) -> None:
        """Take queued sends out: nobody is left in them."""
        for send in sends:
            self.queued -= 1
            line = self._lines[send.campaign_id]
            if self._waiting.pop(send.send_id, None) is None:
                self._take_out(send)
            else:
                line.delayed -= 1
            if line.idle:
                self._idle.append(line)
        if len(self._delayed) > 2 * len(self._waiting) + STALE_ENTRIES:
            self._delayed = [entry for entry in self._delayed if self._is_in_force(*entry[1:3])]
            heapify(self._delayed)

    def clear(self) -> None:
        """Forget every queued send."""
        in_flight = {campaign_id: line.in_flight for campaign_id, line in self._lines.items() if line.in_flight}
        self._delayed, self._waiting, self._ready = [], {}, _rings()
        self._asleep, self._probed = TimerHeap(Where.ASLEEP), TimerHeap(Where.PROBED)
        self.queued = 0
        self._idle = []
        self.awaited.clear()
        self.first_arrivals.clear()
        for campaign_id in self._lines.keys() - in_flight.keys():
            self._access.forget(campaign_id)
        self._lines = {}
        for campaign_id, count in in_flight.items():
            self._line(campaign_id).in_flight = count

    def judge(self, send: Send, exchange: Exchange, now: Now) -> None:
        """A request that is still counted as in flight has come to its end: let the limits follow the platform."""
        self._access.limits.ended(
            send.campaign_id,
            exchange,
            started_at=send.proven_at,
            in_flight=self.in_flight,
            of_campaign=self._lines[send.campaign_id].in_flight,
            now=now,
        )

    def in_flight_by_campaign(self) -> dict[int, int]:
        """Return the sends in flight of each campaign that has any."""
        return {line.campaign_id: line.in_flight for line in self._lines.values() if line.in_flight}


def _rings() -> tuple[FairRing, FairRing, FairRing]:
    """Return a ring for each rank: queues in the order of their campaigns' turns."""
    return FairRing(), FairRing(), FairRing()

"""Whose turn it is: immediate first, fair across campaigns, within the limits on concurrency. Never starts a send.

Rate limits, the adaptive limit and the breaker have their place in `_may_start`, beside access.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from consumer.core.access import Access
from consumer.core.event import Event
from consumer.core.policy import Policies
from consumer.core.send import Send
from consumer.core.terms import AT_ONCE, Now, Ticks


@dataclass(slots=True, eq=False)
class _Line:
    """The sends of one campaign."""

    campaign_id: int
    max_concurrency: int
    immediate: deque[Send] = field(default_factory=deque)
    normal: deque[Send] = field(default_factory=deque)
    in_flight: int = 0

    def queue(self, send: Send) -> deque[Send]:
        return self.immediate if send.immediate else self.normal


class SendQueue:
    """Closed windows and sends that are to be tried again."""

    def __init__(self, policies: Policies, access: Access) -> None:
        self._policies = policies
        self._access = access
        self._lines: dict[int, _Line] = {}
        self._turns: tuple[deque[_Line], deque[_Line]] = (deque(), deque())
        """Lines with immediate sends, and with normal ones, in the order of their turns."""
        self._held_until: dict[int, Ticks] = {}
        """Campaigns that the platform asked to pause."""
        self._delayed: list[tuple[Ticks, int, Send, bool]] = []
        self._delayed_count = 0
        self.in_flight = 0
        self.queued = 0

    def put(self, send: Send, now: Now, *, ahead: bool = False) -> None:
        """Queue a send; `ahead` puts it before the others of its campaign (it has been there before)."""
        self.queued += 1
        line = self._line(send.campaign_id)
        ready_at = max(send.ready_at, self._held_until.get(send.campaign_id, AT_ONCE))
        if ready_at > now.steady:
            self._delayed_count += 1
            heappush(self._delayed, (ready_at, self._delayed_count, send, ahead))
            return
        self._enter(line, send, ahead=ahead)

    def _line(self, campaign_id: int) -> _Line:
        line = self._lines.get(campaign_id)
        if line is None:
            line = self._lines[campaign_id] = _Line(campaign_id, self._policies.of(campaign_id).max_concurrency)
        return line

    def _enter(self, line: _Line, send: Send, *, ahead: bool) -> None:
        queue, turns = line.queue(send), self._turns[0 if send.immediate else 1]
        if not queue:
            turns.append(line)
        if ahead:
            queue.appendleft(send)
        else:
            queue.append(send)

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
                line = turns.popleft()
                if not self._may_start(line, now, immediate=immediate):
                    turns.append(line)
                    continue
                queue = line.immediate if immediate else line.normal
                send = queue.popleft()
                if queue:
                    turns.append(line)
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
            _, _, send, ahead = heappop(self._delayed)
            self._enter(self._line(send.campaign_id), send, ahead=ahead)

    def next_wake_at(self, now: Now) -> Ticks | None:
        """Return when a send may become ready without anything else happening, None where none may.

        What might start at an instant that has passed was picked, or waits for a fact: it needs no timer.
        """
        wakes = [self._delayed[0][0]] if self._delayed else []
        if any(self._turns):
            wakes.extend(self._access.wakes())
            wakes.extend(self._held_until.values())
        return min((wake for wake in wakes if wake > now.steady), default=None)

    def sends(self) -> Iterator[Send]:
        """Yield every queued send."""
        for line in self._lines.values():
            yield from line.immediate
            yield from line.normal
        for _, _, send, _ in self._delayed:
            yield send

    def promote(self, event: Event) -> None:
        """Make the queued send that holds this event immediate: somebody urgent waits for its outcome."""
        for _, _, send, _ in self._delayed:
            if send.group == event.group and event in send.members:
                send.immediate = True  # it enters the right queue when its time has come
                return
        line = self._lines.get(event.group.campaign_id)
        for send in line.normal if line is not None else ():
            if send.group == event.group and event in send.members:
                assert line is not None
                line.normal.remove(send)
                if not line.normal:
                    self._turns[1].remove(line)
                send.immediate = True
                self._enter(line, send, ahead=True)
                return

    def take(self, wanted: Callable[[Send], bool]) -> list[Send]:
        """Take out every queued send that is `wanted`."""
        taken = [send for send in self.sends() if wanted(send)]
        gone = set(map(id, taken))
        if not gone:
            return []
        for line in list(self._lines.values()):
            line.immediate = deque(send for send in line.immediate if id(send) not in gone)
            line.normal = deque(send for send in line.normal if id(send) not in gone)
            self._forget_idle(line)
        self._turns = (
            deque(line for line in self._turns[0] if line.immediate),
            deque(line for line in self._turns[1] if line.normal),
        )
        self._delayed = sorted(entry for entry in self._delayed if id(entry[2]) not in gone)
        self.queued -= len(taken)
        return taken

    def in_flight_by_campaign(self) -> dict[int, int]:
        """Return the sends in flight of each campaign that has any."""
        return {line.campaign_id: line.in_flight for line in self._lines.values() if line.in_flight}

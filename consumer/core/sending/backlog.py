"""A campaign's sends that wait, and what each of its queues waits for. Chooses none, and starts none."""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from heapq import heapify, heappop, heappush

from consumer.core.platform.concurrency import ConcurrencyLimit
from consumer.core.sending.send import Send
from consumer.core.terms import Now, SendId, Ticks

STALE_ENTRIES = 16
"""Entries of a heap that are not in force, beyond as many as there are others."""


class Where(Enum):
    """Where a campaign's sends of one rank are."""

    IDLE = auto()
    """There are none."""
    RING = auto()
    """They have their turn in time."""
    ASLEEP = auto()
    """Their campaign may not be asked before an instant."""
    PROBED = auto()
    """They were the probe, in vain: again at an instant."""
    BLOCKED = auto()
    """As many of their campaign are in flight as may be."""


class Rank(IntEnum):
    """Who goes before whom, whatever its campaign; a send of each rank may have slots that those behind may not."""

    URGENT = 0
    """Immediate, and of an urgent topic."""
    IMMEDIATE = 1
    OTHER = 2


@dataclass(slots=True, eq=False)
class Fifo:
    """A campaign's sends of one rank: in order and by name, so that one is found without a search."""

    line: "Backlog"
    rank: Rank
    sends: OrderedDict[SendId, Send] = field(default_factory=OrderedDict)
    where: Where = Where.IDLE
    entry: int = 0
    """The entry of a heap that is in force."""

    @property
    def turn(self) -> tuple[int, bool]:
        return (self.line.campaign_id, self.rank is not Rank.OTHER)


class Backlog:
    """The sends of one campaign; `weight` is its share of the contacts that go out, beside others."""

    __slots__ = ("campaign_id", "delayed", "in_flight", "limit", "queues", "weight")

    def __init__(self, campaign_id: int, limit: ConcurrencyLimit, weight: float) -> None:
        self.campaign_id = campaign_id
        self.limit = limit
        self.weight = weight
        self.in_flight = self.delayed = 0
        self.queues = (Fifo(self, Rank.URGENT), Fifo(self, Rank.IMMEDIATE), Fifo(self, Rank.OTHER))

    def queue(self, send: Send) -> Fifo:
        return self.queues[Rank.URGENT if send.urgent else Rank.IMMEDIATE if send.immediate else Rank.OTHER]

    @property
    def any_ready(self) -> bool:
        """Whether a send waits for its turn."""
        urgent, immediate, others = self.queues
        return bool(others.sends or immediate.sends or urgent.sends)

    @property
    def idle(self) -> bool:
        return not (self.in_flight or self.delayed or self.any_ready)


class TimerHeap:
    """Queues by the instant at which they are looked at again."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._heap: list[tuple[Ticks, Rank, int, Fifo]] = []
        self._count = self._here = 0

    def add(self, queue: Fifo, until: Ticks) -> None:
        self._count += 1
        self._here += 1
        queue.where, queue.entry = self._where, self._count
        heappush(self._heap, (until, queue.rank, self._count, queue))
        if len(self._heap) > 2 * self._here + STALE_ENTRIES:
            self._heap = [entry for entry in self._heap if self._is_in_force(*entry[2:])]
            heapify(self._heap)

    def gone(self) -> None:
        """Take note that one was taken elsewhere."""
        self._here -= 1

    def _is_in_force(self, count: int, queue: Fifo) -> bool:
        return queue.where is self._where and queue.entry == count

    def next_at(self) -> Ticks | None:
        heap = self._heap
        while heap and not self._is_in_force(*heap[0][2:]):
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: Now) -> Fifo | None:
        """Take out the first whose time has come."""
        next_at = self.next_at()
        if next_at is None or next_at > now.steady:
            return None
        self._here -= 1
        return heappop(self._heap)[3]

    def all(self) -> list[Fifo]:
        """Take out everything, in the order of time."""
        found = [entry[3] for entry in sorted(self._heap, key=lambda entry: entry[:3]) if self._is_in_force(*entry[2:])]
        self._heap, self._here = [], 0
        return found


MOST_REMEMBERED = 1_000
"""Campaigns whose latest turns count although nothing of them waits: more than ever wait at once, as a rule."""


class FairRing:
    """Queues that may have their turn, in the order of start-time fair queueing: by contacts and weights.

    A turn begins, in virtual time, where the campaign's last one ended, or now where that is over; it lasts for its
    contacts divided by the campaign's weight. Source: P. Goyal, H. Vin and H. Cheng, "Start-time Fair Queueing" (1996).
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Fifo]] = []
        self._count = self._here = 0
        self._virtual_time = 0.0
        self._ends: OrderedDict[int, float] = OrderedDict()

    def __bool__(self) -> bool:
        return self._here > 0

    def join(self, queue: Fifo) -> None:
        """File a queue; it has its turn in time."""
        self._count += 1
        self._here += 1
        queue.where, queue.entry = Where.RING, self._count
        begins_at = max(self._virtual_time, self._ends.get(queue.line.campaign_id, 0.0))
        heappush(self._heap, (begins_at, self._count, queue))
        if len(self._heap) > 2 * self._here + STALE_ENTRIES:
            self._heap = [entry for entry in self._heap if self._is_in_force(*entry[1:])]
            heapify(self._heap)

    def take(self) -> Fifo | None:
        """Take out the queue whose turn it is, None where none is here."""
        while self._heap:
            begins_at, count, queue = heappop(self._heap)
            if self._is_in_force(count, queue):
                self._here -= 1
                self._virtual_time = max(self._virtual_time, begins_at)
                return queue
        return None

    def gone(self) -> None:
        """Take note that one was taken elsewhere."""
        self._here -= 1

    def charge(self, queue: Fifo, contacts: int) -> None:
        """A send of so many contacts has the turn of this queue."""
        line, ends = queue.line, self._ends
        begins_at = max(self._virtual_time, ends.pop(line.campaign_id, 0.0))
        ends[line.campaign_id] = begins_at + contacts / line.weight
        if len(ends) > MOST_REMEMBERED:
            ends.popitem(last=False)

    def _is_in_force(self, count: int, queue: Fifo) -> bool:
        return queue.where is Where.RING and queue.entry == count

"""One send: the members that share a request, and where it is on its way. Decides nothing."""

from collections.abc import Iterable
from enum import Enum, auto
from operator import attrgetter

import msgspec

from consumer.core.event import Event, GroupKey
from consumer.core.history import Fate, History, earliest_try
from consumer.core.outcome import Response
from consumer.core.terms import AT_ONCE, NEVER, Instant, Partition, SendId, Ticks

_HISTORY = attrgetter("history")
_ARRIVED = attrgetter("arrived")


class SendStage(Enum):
    """Where a send is."""

    __hash__ = object.__hash__  # the enumerations' own is a call of Python

    QUEUED = auto()
    PROVING = auto()
    """Its intents are on their way into the journal."""
    POSTING = auto()
    """The request may be out."""
    OVER = auto()
    """It has an answer, or was called off."""


NEXT: dict[SendStage, frozenset[SendStage]] = {
    SendStage.QUEUED: frozenset({SendStage.PROVING, SendStage.OVER}),
    SendStage.PROVING: frozenset({SendStage.POSTING, SendStage.QUEUED, SendStage.OVER}),
    SendStage.POSTING: frozenset({SendStage.QUEUED, SendStage.OVER}),
    SendStage.OVER: frozenset(),
}


class QueueEnd(Enum):
    """Where among the sends of its campaign a send is queued."""

    FRONT = auto()
    """Before the others: it has waited for its turn already."""
    BACK = auto()
    """Behind them: it is new, or was a probe that settled nothing, and one bad contact must not be the only probe."""


class Send(msgspec.Struct, eq=False, kw_only=True):
    """Members of one group, no person twice. One POST is one attempt; between attempts it is queued again."""

    send_id: SendId
    group: GroupKey
    members: list[Event]
    immediate: bool
    urgent: bool = False
    """Immediate, and of an urgent topic: it may have the slots that are kept for those."""
    ready_at: Ticks
    """No attempt before this: its own back-off. What the platform asked to wait stands in `pauses`."""
    earliest_expiry: Instant | None
    oldest_at: Ticks
    """When the first of its members arrived in this process."""
    attempt: int = 0
    """The number of the latest attempt, also of one that never started."""
    setbacks: int = 0
    """Attempts in a row that came to nothing: what the back-off grows by."""
    first_tried_at: Instant | None = None
    """Of all that its members went through, the first attempt that `MAX_AGE` counts from."""
    response: Response | None = None
    """The platform's latest words about this send."""
    stage: SendStage = SendStage.QUEUED
    unproven: set[Partition] = msgspec.field(default_factory=set)
    picked_at: Ticks = AT_ONCE
    """When the latest attempt got its slot."""
    proven_at: Ticks = AT_ONCE
    prove_by: Ticks = AT_ONCE
    closed_at: Ticks | None = None
    """When its window closed; None once a request of it has begun."""
    stops_known: int = 0
    """How much operators had said when it was looked at last: `Holds.version`."""

    @property
    def campaign_id(self) -> int:
        """The campaign that is sent."""
        return self.group.campaign_id

    def move(self, new: SendStage) -> None:
        """Go on to the next stage."""
        if new not in NEXT[self.stage]:
            raise AssertionError((self.stage, new))
        self.stage = new

    def keep(self, members: list[Event]) -> None:
        """Go on with these members only."""
        self.members = members
        self.oldest_at = oldest_arrival(members)
        self.earliest_expiry = earliest_expiry(members)
        self.first_tried_at = earliest_try(self.histories())

    def histories(self) -> list[History]:
        """Return the histories of its members, each once; those who have none share one, too."""
        if len(self.members) == 1:
            return [self.members[0].history]
        return list(dict.fromkeys(map(_HISTORY, self.members)))

    def tried(self, fate: Fate, started_at: Instant | None) -> None:
        """An attempt came to this: write it into the history of every member."""
        if started_at is None:
            return
        self.closed_at = None
        after = {history: history.after(fate, started_at) for history in self.histories()}
        for event in self.members:
            event.history = after[event.history]
        self.first_tried_at = earliest_try(after.values())

    def join(self, members: list[Event], oldest_at: Ticks) -> None:
        """Take more members along, the first of whom arrived at `oldest_at`."""
        carry(self.send_id, members)
        self.members += members
        self.oldest_at = min(self.oldest_at, oldest_at)
        self.first_tried_at = earliest_try(self.histories())
        expiries = (self.earliest_expiry, earliest_expiry(members))
        self.earliest_expiry = min([expiry for expiry in expiries if expiry is not None], default=None)

    def by_partition(self) -> dict[Partition, list[Event]]:
        """Return the members by the partition that they came from, in order of arrival."""
        parts: dict[Partition, list[Event]] = {}
        part: list[Event] = []
        last = None
        for event in self.members:
            partition = event.partition
            if partition is not last:  # neighbours come from one fetched batch, and so from one partition
                part = parts.setdefault(partition, [])
                last = partition
            part.append(event)
        return parts

    def part(self, send_id: SendId, members: list[Event]) -> "Send":
        """Return a send of some of the members; what was tried with them goes along with each."""
        carry(send_id, members)
        return Send(
            send_id=send_id,
            group=self.group,
            members=members,
            immediate=self.immediate,
            ready_at=self.ready_at,
            closed_at=self.closed_at,
            earliest_expiry=earliest_expiry(members),
            oldest_at=oldest_arrival(members),
            setbacks=self.setbacks,
            first_tried_at=earliest_try(map(_HISTORY, members)),
            response=self.response,
        )


def carry(send_id: SendId, members: Iterable[Event]) -> None:
    """Let members know which send they are in."""
    for event in members:
        event.send_id = send_id


def oldest_arrival(members: Iterable[Event]) -> Ticks:
    """Return when the first of the members arrived in this process."""
    return min(map(_ARRIVED, members), default=NEVER)


def earliest_expiry(members: Iterable[Event]) -> Instant | None:
    """Return the first deadline among the members, None where none has one."""
    return min([event.expires_at for event in members if event.expires_at is not None], default=None)

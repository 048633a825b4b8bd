"""One send: the members that share a request, and where it is on its way. Decides nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from consumer.core.event import Event, GroupKey
from consumer.core.outcome import Reason, Response
from consumer.core.terms import AT_ONCE, Instant, Partition, SendId, Ticks


class Stage(Enum):
    """Where a send is."""

    QUEUED = auto()
    PROVING = auto()
    """Its intents are on their way into the journal."""
    POSTING = auto()
    """The request may be out."""
    OVER = auto()
    """It has an answer, or was called off."""


NEXT: dict[Stage, frozenset[Stage]] = {
    Stage.QUEUED: frozenset({Stage.PROVING, Stage.OVER}),
    Stage.PROVING: frozenset({Stage.POSTING, Stage.QUEUED, Stage.OVER}),
    Stage.POSTING: frozenset({Stage.QUEUED, Stage.OVER}),
    Stage.OVER: frozenset(),
}


@dataclass(slots=True, eq=False, kw_only=True)
class Send:
    """Members of one group, no person twice. One POST is one attempt; between attempts it is queued again."""

    send_id: SendId
    group: GroupKey
    members: list[Event]
    immediate: bool
    ready_at: Ticks
    """No attempt before this: a back-off, or the platform's Retry-After."""
    earliest_expiry: Instant | None
    attempt: int = 0
    """The number of the latest attempt, also of one that never started."""
    started: int = 0
    """Attempts of this send whose first byte went out."""
    lost: int = 0
    """Those of them whose fate is unknown."""
    answers_lost: int = 0
    """Those of them that brought no complete head at all."""
    doubt: Reason | None = None
    counted: int = 0
    """Those that count against the budget of attempts."""
    setbacks: int = 0
    """Attempts in a row that came to nothing: what the back-off grows by."""
    first_tried_at: Instant | None = None
    last_tried_at: Instant | None = None
    response: Response | None = None
    """The platform's latest words about this send."""
    stage: Stage = Stage.QUEUED
    unproven: set[Partition] = field(default_factory=set)
    proven_at: Ticks = AT_ONCE
    prove_by: Ticks = AT_ONCE

    @property
    def campaign_id(self) -> int:
        """The campaign that is sent."""
        return self.group.campaign_id

    def move(self, new: Stage) -> None:
        """Go on to the next stage."""
        if new not in NEXT[self.stage]:
            raise AssertionError((self.stage, new))
        self.stage = new

    def keep(self, members: list[Event]) -> None:
        """Go on with these members only."""
        self.members = members
        self.earliest_expiry = earliest_expiry(members)

    def join(self, members: list[Event]) -> None:
        """Take more members along."""
        carry(self.send_id, members)
        self.members += members
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
        """Return a send of some of the members that takes this one's history along."""
        carry(send_id, members)
        for event in members:
            hand_down(self, event)
        return Send(
            send_id=send_id,
            group=self.group,
            members=members,
            immediate=self.immediate,
            ready_at=self.ready_at,
            earliest_expiry=earliest_expiry(members),
            answers_lost=self.answers_lost,
            counted=self.counted,
            setbacks=self.setbacks,
            first_tried_at=self.first_tried_at,
            response=self.response,
        )


def carry(send_id: SendId, members: Iterable[Event]) -> None:
    """Let members know which send they are in."""
    for event in members:
        event.send_id = send_id


def hand_down(send: Send, event: Event) -> None:
    """Write a send's history into a member that leaves it."""
    event.attempts += send.started
    event.lost += send.lost
    event.doubt = send.doubt or event.doubt
    event.first_tried_at = event.first_tried_at or send.first_tried_at
    event.last_tried_at = send.last_tried_at or event.last_tried_at


def earliest_expiry(members: Iterable[Event]) -> Instant | None:
    """Return the first deadline among the members, None where none has one."""
    return min([event.expires_at for event in members if event.expires_at is not None], default=None)

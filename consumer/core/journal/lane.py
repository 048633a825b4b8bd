"""All that is known of one partition while it is ours. Changed by the pipeline's stages alone; never does I/O."""

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import msgspec

from consumer.core.event import Decoded, Event
from consumer.core.history import UNTRIED, History
from consumer.core.journal.attempts import Attempts
from consumer.core.journal.entries import Checkpoint, Mark, Returned, Skipped, encode
from consumer.core.journal.held_back import HeldBack
from consumer.core.journal.ledger import MAX_APPEND_BYTES, Draft, Ledger, OwnershipState
from consumer.core.journal.offset_ranges import OffsetRanges
from consumer.core.journal.parked import Parked
from consumer.core.journal.parked_range import FromHand
from consumer.core.journal.watermark import Watermark
from consumer.core.memory.deduplication import Deduplication, Recalled
from consumer.core.memory.platform_memory import NOTHING, Remembered
from consumer.core.memory.segments import MemorySummary
from consumer.core.outcome import Verdict
from consumer.core.terms import NEVER, Instant, JournalOffset, Now, Offset, Partition, SendId, Ticks

JOURNAL_START = JournalOffset(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpublishedOutcome:
    """An outcome that stands in the journal and whose result may not have been published."""

    verdict: Verdict
    received_at: Instant
    journal_offset: JournalOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """What a take-over found out: where to start, and what the journal says of the records from there on."""

    start: Offset
    known: dict[Offset, UnpublishedOutcome]
    published: OffsetRanges
    trials: dict[Offset, History]
    attempts: Attempts
    recalled: Recalled
    """The IDs that stand in no segment yet."""
    mark: Mark | None
    skipped: Skipped | None = None
    """The range that a tool has moved the group over, to be journaled with the first checkpoint."""
    platform: Remembered = NOTHING
    """What the last owner knew of the platform."""
    log_end: Offset | None = None
    """Where the events partition ended, as far as somebody has looked."""


class FirstRecord(NamedTuple):
    """The record of a settlement that stands first in the partition, which has waited longest."""

    offset: Offset
    timestamp_ms: int
    """Its timestamp in Kafka; -1 where it has none."""
    received_at: Instant
    """When it arrived in this process."""


class Settlement(msgspec.Struct, eq=False, kw_only=True):
    """Records of one partition with their verdicts: on its way into the journal, then to the results topic."""

    lane: "Lane"
    items: list[tuple[Verdict, list[Decoded]]]
    """Given up when the results are built: records are freed while the processor still has them at hand."""
    offsets: list[Offset]
    """Of all its records."""
    size_bytes: int
    """What all its records are charged with."""
    first: FirstRecord
    campaign_id: int | None = None
    """The campaign of all its records, where they were members of one send."""
    fingerprints: Sequence[bytes] = ()
    """By item, 16 bytes for each of its records, where none of them is a resend: they stand for the event IDs."""
    oldest_ms: int | None = None
    """The earliest timestamp in Kafka of a send's members, as of `first`; None where one of them is immediate, or of others."""
    journal_offset: JournalOffset | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """One partition in hand."""

    partition: Partition
    group: str
    ledger: Ledger
    parked: Parked = field(default_factory=Parked)
    watermark: Watermark = field(default_factory=lambda: Watermark(Offset(0)))
    attempts: Attempts = field(default_factory=Attempts)
    persons: dict[str, Event | deque[Event]] = field(default_factory=dict)
    """The event of each person that may be in a window or a request; behind it, in a deque, those that wait."""
    in_hand: dict[bytes, Event] = field(default_factory=dict)
    repeats: dict[bytes, list[Event]] = field(default_factory=dict)
    known: dict[Offset, UnpublishedOutcome] = field(default_factory=dict)
    published: OffsetRanges = field(default_factory=OffsetRanges)
    """What is still to be read, and whose results are acknowledged."""
    trials: dict[Offset, History] = field(default_factory=dict)
    remembered: deque[Offset] = field(default_factory=deque)
    """The offsets that `known` and `trials` said something of at the take-over, in order."""
    unpublished: dict[JournalOffset, int] = field(default_factory=dict)
    """Records whose results are not acknowledged yet, by where their outcome stands."""
    undecided: dict[int, int] = field(default_factory=dict)
    """Events in hand whose outcomes are not proven, by campaign."""
    held_back: HeldBack = field(default_factory=HeldBack)
    settling: dict[Offset, Settlement] = field(default_factory=dict)
    """Settlements whose results are not acknowledged, by their first offset."""
    settling_events: int = 0
    """Records in those."""
    marks: deque[Mark] = field(default_factory=deque)
    held_events: int = 0
    held_bytes: int = 0
    looking: bool = False
    """Whether its journal is being looked at, or belongs to another group."""
    taking_over: bool = False
    """Whether its journal is being read, or could not tell where to start."""
    started: bool = False
    """Whether it was taken over: its records may be read."""
    leaving: bool = False
    """Given back soon: nothing new starts."""
    trouble: str | None = None
    """Why the last append was not acknowledged; None since one was."""
    journal_refused: str | None = None
    """Why the brokers do not take what is appended, or do not hand its journal out, where only a person can change that."""
    results_refused: str | None = None
    """The same of its results and dead letters."""
    parked_refused: str | None = None
    """The same of what is parked of it and has to be read again."""
    overdue: bool = False
    """Whether a proof has been waited for in vain: until the next one comes, no send takes members of it."""
    dropped: bool = False
    unrecorded_acceptances: dict[Offset, Verdict] = field(default_factory=dict)
    """Acceptances of its records that no entry tells of: those of the lane before it that was lost to a claim."""
    returned: dict[tuple[SendId, int], Returned] = field(default_factory=dict)
    """Attempts that have never begun, by send and attempt, which the lane before it could not write down."""
    publishing: int = 0
    """Settlements whose results are on their way."""
    publishing_events: int = 0
    """Records in those."""
    publishing_bytes: int = 0
    """What those are charged with."""
    checkpoint_wanted: bool = False
    checkpointed: bool = False
    """Whether a checkpoint of ours is proven: without one, no commit of ours may stand."""
    checkpoint_out: bool = False
    """Whether one is on its way into the journal."""
    checkpoint_due_at: Ticks | None = None
    """Since when a checkpoint has been due that is not proven yet, None where none is."""
    covered_at: Ticks = NEVER
    """When checkpoints last said all that was to be said: one was proven, or nothing had moved since the last. At first, since
    when the first one has been due."""
    moved: bool = True
    """Whether anything happened since the last checkpoint."""
    platform: Remembered = NOTHING
    """What the next checkpoint says of the platform."""
    snapshot_at: JournalOffset = JOURNAL_START
    """Where the last checkpoint was to stand: past so many entries more, another one is wanted."""

    @property
    def may_send(self) -> bool:
        """Whether a request may carry members of this partition now."""
        return self.ledger.standing is OwnershipState.OWNED and not (self.leaving or self.dropped or self.overdue)

    @property
    def refused(self) -> str | None:
        """Why this partition waits for a person, though it is ours: the brokers refuse what it needs."""
        return self.journal_refused or self.results_refused or self.parked_refused

    @property
    def busy(self) -> bool:
        """Whether an entry or a result is still on its way."""
        return not self.ledger.idle or self.publishing > 0

    def take_over(self, taken: TakenOver) -> None:
        """Start from what the journal says."""
        self.watermark = Watermark(taken.start)
        self.known, self.published, self.trials = taken.known, taken.published, taken.trials
        self.remembered = deque(sorted({*taken.known, *taken.trials}))
        self.attempts = taken.attempts
        for known in taken.known.values():
            self.unpublished[known.journal_offset] = self.unpublished.get(known.journal_offset, 0) + 1
        if taken.mark is not None:
            self.marks.append(taken.mark)
        self.started = True
        self.ledger.taken_over()
        if taken.skipped is not None:
            self.ledger.add(taken.skipped, None)
        self._close_what_never_began()

    def _close_what_never_began(self) -> None:
        """Write down what the lane before this one could not; until that is proven, it counts for no doubt already."""
        self.attempts.inherit(returnable=self.returned.keys())
        open_attempts = {(one.send_id, one.attempt) for one in self.attempts.returnable()}
        returned = {name: entry for name, entry in self.returned.items() if name in open_attempts}
        self.returned = {}
        if returned:
            for entry in returned.values():
                self.ledger.add(entry, None)
            trials = self.attempts.trials(never_began=returned)
            self.trials = {offset: trials[offset] for offset in self.trials if offset in trials}

    def hold(self, records: Sequence[Decoded], size_bytes: int) -> None:
        """Charge records to the buffer."""
        self.held_events += len(records)
        self.held_bytes += size_bytes

    def park_again(self, events: Sequence[Event], records: Sequence[FromHand]) -> None:
        """Events in hand, ascending, that wait nowhere any more are parked where they stand; what was tried is kept."""
        self.held_events -= len(events)
        self.held_bytes -= sum([event.size_bytes for event in events])
        self.held_back.gone(events)
        for event in events:
            if self.in_hand.get(event.fingerprint) is event:
                del self.in_hand[event.fingerprint]
            if event.history is not UNTRIED:
                self.trials[event.offset] = event.history
                insort(self.remembered, event.offset)
        self.watermark.park_again([event.offset for event in events])
        self.parked.add_again(records)
        self.moved = True

    def begin_settling(self, settlement: Settlement) -> None:
        """Records have their outcome; it is on its way from now on."""
        self.settling[settlement.first.offset] = settlement
        self.settling_events += len(settlement.offsets)

    def publish(self, settlement: Settlement) -> None:
        """Results are on their way from now on."""
        self.publishing += 1
        self.publishing_events += len(settlement.offsets)
        self.publishing_bytes += settlement.size_bytes

    def publish_done(self, settlements: Sequence[Settlement]) -> None:
        """Results are acknowledged: the records leave the buffer and the watermark may move.

        Of a lane that was dropped, results are on their way no more, whatever became of them.
        """
        offsets = [offset for settlement in settlements for offset in settlement.offsets]
        size_bytes = sum([settlement.size_bytes for settlement in settlements])
        self.publishing -= len(settlements)
        self.publishing_events -= len(offsets)
        self.publishing_bytes -= size_bytes
        if self.dropped:
            return
        self.held_events -= len(offsets)
        self.held_bytes -= size_bytes
        self.settling_events -= len(offsets)
        self.watermark.done(offsets)
        self.moved = True
        for settlement in settlements:
            del self.settling[settlement.first.offset]
            assert settlement.journal_offset is not None
            self._published(settlement.journal_offset, len(settlement.offsets))

    def forget_read(self) -> None:
        """Forget what the journal says of records that were read, or were to be read by now: retention has removed them."""
        self.published.cut(0, self.watermark.position)
        unread = self.watermark.unread
        while self.remembered and self.remembered[0] < unread:
            offset = self.remembered.popleft()
            if (known := self.known.pop(offset, None)) is not None:
                self._published(known.journal_offset, 1)
            self.trials.pop(offset, None)

    def _published(self, at: JournalOffset, count: int) -> None:
        left = self.unpublished[at] - count
        if left:
            self.unpublished[at] = left
        else:
            del self.unpublished[at]

    def take_out(self, event: Event) -> Event | None:
        """The event's outcome is proven: return the person's next event, which may go now."""
        queue = self.persons.get(event.person)
        if queue is event:
            del self.persons[event.person]
            return None
        if type(queue) is not deque or queue[0] is not event:
            return None  # it was settled on admission and never had its turn
        queue.popleft()
        following = queue[0]
        if len(queue) == 1:
            self.persons[event.person] = following
        return following

    def waiting(self) -> Iterator[Event]:
        """Yield the events that wait behind their person's earlier ones."""
        for queue in self.persons.values():
            if type(queue) is deque:
                yield from queue

    def mark(self) -> Mark | None:
        """Return the youngest mark below the watermark; older ones are forgotten."""
        while len(self.marks) > 1 and self.marks[1].offset < self.watermark.value:
            self.marks.popleft()
        return self.marks[0] if self.marks and self.marks[0].offset < self.watermark.value else None

    def want_checkpoint(self, now: Now) -> None:
        """Let the next append begin with a checkpoint, where something has moved."""
        self.checkpoint_wanted = True
        if self.checkpoint_due_at is not None:
            return
        if self.moved or self.checkpoint_out:
            self.checkpoint_due_at = now.steady
            self.covered_at = min(self.covered_at, now.steady)
        else:
            self.covered_at = now.steady

    def checkpoint_proven(self, now: Now) -> float | None:
        """A checkpoint stands in the journal; return for how long one was due, None where its time had not come yet."""
        due_at, self.checkpoint_due_at = self.checkpoint_due_at, None
        self.checkpointed, self.checkpoint_out, self.covered_at = True, False, now.steady
        return None if due_at is None else now.steady - due_at

    def checkpoint(self, memory: Callable[[], MemorySummary | None]) -> Draft | None:
        """Return a checkpoint of what is proven, where one is wanted and says something new.

        It is wanted now and then, and after so many entries, whatever those say: what stands behind the last one
        is read at a take-over. `memory` returns what it says of the remembered IDs.

        One that no append could carry is not made, and the next append tries again with a rougher one. Where none is
        small enough, the next owner reads on from the last one that was made, which says the same with what follows it:
        `KAFKA__MAX_AHEAD` of the default size does not come to that.
        """
        wanted = self.checkpoint_wanted or self.ledger.expected - self.snapshot_at >= CHECKPOINT_ENTRIES
        if not (wanted and self.moved):
            return None
        self.snapshot_at = self.ledger.expected
        self.checkpoint_wanted = self.moved = False
        done = self.watermark.done_above()
        for start, stop in self.published:
            done.add(max(start, self.watermark.position), stop)
        self.attempts.prune(self.watermark.value, done)
        tried, doubted = self.attempts.snapshot()
        checkpoint = Checkpoint(
            group=self.group,
            watermark=self.watermark.value,
            settled=tuple(done.flat()),
            open_attempts=self.attempts.returnable(),
            doubted=doubted,
            tried=tried,
            unpublished=min(self.unpublished, default=None),
            mark=self.mark(),
            claim=self.ledger.claimed_at,
            platform=self.platform,
            memory=memory(),
        )
        most_bytes = min(MAX_CHECKPOINT_BYTES, self.ledger.max_append_bytes // 2)
        if len(encode(checkpoint, self.ledger.expected)) > most_bytes:
            self.moved = True
            self.checkpoint_wanted = self.attempts.tell_fewer_apart()
            return None
        self.checkpoint_out = True
        return Draft(checkpoint, None)


def leading(lane: Lane, deduplication: Deduplication) -> list[Draft]:
    """Return what goes before all that waits for a lane's journal: a checkpoint, a segment of IDs, both or neither."""
    ledger, partition = lane.ledger, lane.partition
    segment = deduplication.to_write(partition, ledger.expected, room_bytes=ledger.max_append_bytes)
    checkpoint = lane.checkpoint(partial(deduplication.memory, partition))
    return [
        *([] if checkpoint is None else [checkpoint]),
        *([] if segment is None else [Draft(segment.ids, segment)]),
    ]


CHECKPOINT_ENTRIES = 4_096
"""Entries after which a checkpoint is written though its time has not come: some 60 ms of a take-over."""

MAX_CHECKPOINT_BYTES = MAX_APPEND_BYTES // 2
"""Leaves the other half of an append to what waits for it."""

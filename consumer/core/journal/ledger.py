"""The owner's side of one journal partition: what to append, what is proven, who owns it. Never does I/O.

An append acknowledged where it was expected proves that nobody has claimed the partition before it. Anything
else is looked into: the gap is read, and a foreign claim in it means that the partition is lost.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from consumer.core.journal.entries import Checkpoint, Claim, Entry, Placed, encode
from consumer.core.memory.segments import Segment
from consumer.core.terms import JournalOffset

MAX_APPEND_BYTES = 900_000
"""One append is one batch of the producer, which takes 1 MiB; no single entry may be larger."""

ENTRY_OVERHEAD_BYTES = 24
"""What a batch adds to an entry, generously: lengths, and what is told from the batch's first record."""


class OwnershipState(Enum):
    """How sure an owner is that it is the owner."""

    LOOKING = auto()
    """The journal is looked at before anything is written: it may be another group's."""
    UNSURE = auto()
    """A claim is to be appended: at the start, and after an append of unknown fate."""
    CLAIMING = auto()
    """The claim is out."""
    TAKING_OVER = auto()
    """The claim stands; the journal before it is being read."""
    CHECKING = auto()
    """An append landed elsewhere, or we claimed anew: the gap is being read."""
    OWNED = auto()
    LOST = auto()
    """Somebody else has claimed the partition."""
    RECREATED = auto()
    """The journal ends before what was proven: it was deleted, or cut."""


NEXT: dict[OwnershipState, frozenset[OwnershipState]] = {
    OwnershipState.LOOKING: frozenset({OwnershipState.UNSURE}),
    OwnershipState.UNSURE: frozenset({OwnershipState.CLAIMING}),
    OwnershipState.CLAIMING: frozenset(
        {OwnershipState.UNSURE, OwnershipState.TAKING_OVER, OwnershipState.CHECKING, OwnershipState.RECREATED}
    ),
    OwnershipState.TAKING_OVER: frozenset({OwnershipState.OWNED, OwnershipState.LOST}),
    OwnershipState.CHECKING: frozenset({OwnershipState.OWNED, OwnershipState.LOST}),
    OwnershipState.OWNED: frozenset({OwnershipState.CHECKING, OwnershipState.UNSURE, OwnershipState.RECREATED}),
    OwnershipState.LOST: frozenset(),
    OwnershipState.RECREATED: frozenset({OwnershipState.LOST}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A range of the journal to be read, past-the-end exclusive."""

    start: JournalOffset
    stop: JournalOffset


class Fit(Enum):
    """What can be done about an append that the journal does not take for its size."""

    SMALLER = auto()
    """It is made of fewer entries from now on."""
    ANEW = auto()
    """It was a checkpoint, which can wait until it is smaller, or a segment of IDs, which is made of fewer."""
    NEVER = auto()
    """A single entry is too large: it is tried again as it is, in the hope that somebody changes the topic."""


class Draft(msgspec.Struct, eq=False):
    """An entry on its way into the journal, and what its proof is for."""

    entry: Entry
    token: object
    landed_at: JournalOffset | None = None


class Ledger:
    """The one writer of one journal partition. At most one append is out at a time; the rest rides on the next."""

    def __init__(self, claim: Callable[[], Claim], process: str) -> None:
        self._claim = claim
        self.process = process
        """Our name in claims: any other's is foreign."""
        self._waiting: deque[Draft] = deque()
        self._out: list[Draft] = []
        self._out_at = JournalOffset(0)
        self._busy = False
        self.max_append_bytes = MAX_APPEND_BYTES
        """Less once the journal has refused so much."""
        self._out_bytes = 0
        self._expected: JournalOffset | None = None
        self._claimed_at: JournalOffset | None = None
        self.standing = OwnershipState.LOOKING
        self.gap: Gap | None = None
        """What to read while CHECKING."""
        self.lost_to: str | None = None
        """The member whose claim took the partition away."""

    def may_claim(self) -> None:
        """The journal is nobody's yet, or our group's: the next thing is to claim it."""
        self._move(OwnershipState.UNSURE)

    def add(self, entry: Entry, token: object) -> None:
        """Queue an entry; `token` comes back with its proof."""
        self._waiting.append(Draft(entry, token))

    def drafts(self) -> Iterator[Draft]:
        """Yield every entry that is not proven yet."""
        yield from self._out
        yield from self._waiting

    def abandon(self) -> None:
        """Forget what waits: nothing more will be proven by this ledger."""
        self._waiting.clear()
        self._out = []

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not (self._waiting or self._out or self._busy)

    @property
    def expected(self) -> JournalOffset:
        """Where the next append must land; known from the first claim on."""
        assert self._expected is not None
        return self._expected

    @property
    def claimed_at(self) -> JournalOffset:
        """Where the latest claim of ours stands."""
        assert self._claimed_at is not None
        return self._claimed_at

    def next_append(self, first: Callable[[], Sequence[Draft]]) -> list[bytes]:
        """Return the values to append now as one batch; empty while one is out or there is nothing to say.

        `first` may add entries that go before all that waits: with nothing out and nothing before it,
        a checkpoint there says exactly what the proven entries say.
        """
        if self._busy:
            return []
        if self.standing is OwnershipState.UNSURE:
            self._move(OwnershipState.CLAIMING)
            self._busy = True
            return [encode(self._claim(), self._expected or JournalOffset(0))]
        if self.standing is not OwnershipState.OWNED:
            return []
        self._waiting.extendleft(reversed(first()))
        return self._hand_over()

    def _hand_over(self) -> list[bytes]:
        values: list[bytes] = []
        size_bytes = 0
        self._out_at = self.expected
        while self._waiting:
            value = encode(self._waiting[0].entry, JournalOffset(self._out_at + len(values)))
            size_bytes += len(value) + ENTRY_OVERHEAD_BYTES
            if values and size_bytes > self.max_append_bytes:
                break
            values.append(value)
            self._out_bytes = size_bytes
            self._out.append(self._waiting.popleft())
        self._busy = bool(values)
        return values

    def acknowledged(self, base: JournalOffset) -> list[Draft]:
        """Take note where the append landed; return what is proven by that."""
        self._busy = False
        match self.standing:
            case OwnershipState.CLAIMING:
                self._claim_landed(base)
                return []
            case OwnershipState.OWNED:
                return self._append_landed(base)
            case standing:
                raise AssertionError(standing)

    def _claim_landed(self, at: JournalOffset) -> None:
        known, self._claimed_at = self._expected, at
        self._expected = JournalOffset(at + 1)
        if known is None:
            self._move(OwnershipState.TAKING_OVER)
        elif at < known:
            self._move(OwnershipState.RECREATED)
        else:
            self.gap = Gap(start=known, stop=at)
            self._move(OwnershipState.CHECKING)

    def _append_landed(self, base: JournalOffset) -> list[Draft]:
        count = len(self._out)
        if base == self._out_at:
            return self._proven(JournalOffset(base + count))
        if base < self._out_at:
            self._expected = JournalOffset(base + count)
            self._move(OwnershipState.RECREATED)
            return []
        self.gap = Gap(start=self._out_at, stop=JournalOffset(base + count))
        self._expected = self.gap.stop
        self._move(OwnershipState.CHECKING)
        return []

    def _proven(self, end: JournalOffset) -> list[Draft]:
        proven, self._out = self._out, []
        for step, draft in enumerate(proven):
            draft.landed_at = JournalOffset(self._out_at + step)
        self._expected = end
        return proven

    def failed(self) -> None:
        """Take note that an append's fate is unknown: the next thing is to claim anew."""
        self._busy = False
        self._move(OwnershipState.UNSURE)

    def too_large(self) -> Fit:
        """Take note that the journal does not take what is out, for its size. It has not landed."""
        out = self._out
        if not out or (len(out) == 1 and not isinstance(out[0].entry, Checkpoint | Segment)):
            return Fit.NEVER
        self.max_append_bytes = min(self.max_append_bytes, self._out_bytes) // 2
        self._busy, self._out = False, []
        if len(out) == 1:
            return Fit.ANEW
        self._waiting.extendleft(reversed(out))
        return Fit.SMALLER

    def gap_read(self, entries: Sequence[Placed]) -> list[Draft]:
        """Look at what stands in the gap; return what of ours turned out to be proven. The rest waits again.

        What of ours landed in vain (it stands elsewhere than it says) is void for every reader.
        """
        self.gap = None
        for placed in entries:
            taken_by = placed.displaces(self.process)
            if taken_by is not None:
                self.lost_to = taken_by
                self._move(OwnershipState.LOST)
                return []
        stands = {placed.offset for placed in entries if placed.counts and not isinstance(placed.entry, Claim)}
        out, self._out = self._out, []
        proven: list[Draft] = []
        again: list[Draft] = []
        for step, draft in enumerate(out):
            at = JournalOffset(self._out_at + step)
            draft.landed_at = at if at in stands else None
            (proven if at in stands else again).append(draft)
        self._waiting.extendleft(reversed(again))
        self._move(OwnershipState.OWNED)
        return proven

    def overtaken(self, *, by: str) -> None:
        """Another member has claimed the partition while its journal was being read, or while it was stopped."""
        self.lost_to = by
        self._move(OwnershipState.LOST)

    def taken_over(self) -> None:
        """The journal before the claim has been read: appends may begin."""
        self._move(OwnershipState.OWNED)

    def _move(self, new: OwnershipState) -> None:
        if new not in NEXT[self.standing]:
            raise AssertionError((self.standing, new))
        self.standing = new

"""What a partition's journal says, folded while it is read: outcomes, attempts, event IDs. Never reads a log.

A take-over first looks for the last entry to begin from (`landmark`), then feeds what stands from there on, slice by
slice, in the journal's order. Of what stands before it, only outcomes say anything: they are skimmed.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import msgspec

from consumer.core.journal.attempts import Attempts
from consumer.core.journal.entries import (
    Accepted,
    Checkpoint,
    Claim,
    Entry,
    Outcome,
    Placed,
    Settled,
    Skipped,
    Stray,
)
from consumer.core.journal.entry_decode import LARGEST, LATEST, decode
from consumer.core.journal.lane import TakenOver, UnpublishedOutcome
from consumer.core.journal.offset_ranges import OffsetRanges
from consumer.core.memory.deduplication import GENERATIONS, Recalled
from consumer.core.memory.pieces import LONG_AGO, NEVER
from consumer.core.memory.platform_memory import NOTHING
from consumer.core.memory.segments import FINGERPRINT_BYTES, MemorySummary, Segment, packed
from consumer.core.policy import Policies
from consumer.core.terms import Instant, JournalOffset, Offset

HEAD = re.compile(rb'\{"at":(\d{1,19}),"kind":"(\w+)"')
"""How an entry begins: enough to pass over most without decoding them."""

LANDMARKS = (b"checkpoint", b"accepted")

SUMMED_UP = frozenset({b"claim", b"intent", b"returned", b"checkpoint", b"skipped", b"segment"})
"""Kinds that say nothing any more where a checkpoint follows, though results may wait for outcomes beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """The last entry that a take-over may begin from, and where it stands."""

    at: JournalOffset
    entry: Checkpoint | Accepted


class Packed(NamedTuple):
    """A segment made while reading, of outcomes that all stand below `covers_to`."""

    ids: Segment
    covers_to: JournalOffset


class _SkimmedItem(msgspec.Struct):
    offsets: list[Offset]
    fingerprints: str
    completed_at: float


class _Skimmed(msgspec.Struct):
    settled: list[_SkimmedItem]


_skim = msgspec.json.Decoder(_Skimmed).decode


def landmark(entries: Sequence[tuple[JournalOffset, bytes]]) -> Landmark | None:
    """Return the last counting checkpoint, or operator's word, of these; None where there is none."""
    for offset, value in reversed(entries):
        head = HEAD.match(value)
        if head is not None and head[2] not in LANDMARKS:
            continue
        placed = decode(offset, value)
        if placed.counts and isinstance(placed.entry, Checkpoint | Accepted):
            return Landmark(at=offset, entry=placed.entry)
    return None


class Remembering(NamedTuple):
    """How far back event IDs are remembered."""

    horizon: Instant
    """What was settled before is forgotten."""
    oldest: JournalOffset | None
    """The first entry that is as young; None where none is. Asked for where no checkpoint says where IDs stand."""
    policies: Policies


class Replay:
    """One reading of a partition's journal, up to where its reader wants it."""

    def __init__(self, found: Landmark | None, *, first: JournalOffset, remembering: Remembering | None = None) -> None:
        """Begin. `first` is where the journal begins; without `remembering`, event IDs are left out."""
        self.found = found
        self.checkpoint = found.entry if found is not None and isinstance(found.entry, Checkpoint) else None
        self.accepted = found.entry if found is not None and isinstance(found.entry, Accepted) else None
        self._landmark_at = first if found is None else max(first, found.at)
        unpublished = None if self.checkpoint is None else self.checkpoint.unpublished
        self._known_from = self._landmark_at if unpublished is None else min(self._landmark_at, unpublished)
        self._floor = Offset(0) if self.checkpoint is None else self.checkpoint.watermark
        self.memory: MemorySummary | None = None if self.checkpoint is None else self.checkpoint.memory
        self._remembering = remembering
        self._upto = max(first, self._tail(remembering))
        self.begin = max(first, min(self._known_from, self._upto))
        """Where reading begins."""
        self.cut: Placed | None = None
        """An entry behind the landmark that stands below where it was to stand: the journal has lost its end."""
        self.unreadable: Placed | None = None
        """A stray where an entry has to be, as far back as any says something: an owner has said what we cannot read."""
        self.strays: list[JournalOffset] = []
        """Where strays stand behind the landmark: those before it have been told of."""
        self.people: list[Placed] = []
        """Claims, checkpoints and operators' words that were met, in the journal's order."""
        self.anew = False
        """Whether an operator's word was met before the checkpoint: what was packed before it says nothing."""
        self._attempts = Attempts()
        self._known: dict[Offset, UnpublishedOutcome] = {}
        self._ids: dict[bytes, Offset] = {}
        self._since, self._until = NEVER, LONG_AGO
        self._packed: list[Packed] = []

    def _tail(self, remembering: Remembering | None) -> JournalOffset:
        """Return where the outcomes begin whose IDs stand in no segment."""
        if remembering is None or self.checkpoint is None:
            return self._landmark_at
        if self.memory is not None:
            return min(self.memory.upto, self._landmark_at)
        return self._landmark_at if remembering.oldest is None else min(remembering.oldest, self._landmark_at)

    # ---------------------------------------------------------------- reading

    def feed(self, entries: Iterable[tuple[JournalOffset, bytes]]) -> None:
        """Take entries into account."""
        for offset, value in entries:
            if not self._passed_over(offset, value):
                self._apply(decode(offset, value))

    def _passed_over(self, offset: JournalOffset, value: bytes) -> bool:
        """Look at how an entry begins; return whether all that it says is known by that."""
        head = None if offset >= self._landmark_at else HEAD.match(value)
        if head is None or head[2] == b"accepted":
            return False
        if offset >= self._known_from:
            return head[2] in SUMMED_UP
        if head[2] == b"outcome" and int(head[1]) == offset:
            self._skim(offset, value)
        return True

    def _skim(self, offset: JournalOffset, value: bytes) -> None:
        """Take note of nothing but the event IDs of an outcome; where it cannot be read, of nothing."""
        with suppress(msgspec.MsgspecError, ValueError):
            for one in _skim(value).settled:
                ids, settled_at = b64decode(one.fingerprints), Instant(one.completed_at)
                offsets = tuple(accumulate(one.offsets))
                if offsets and min(offsets) >= 0 and max(offsets) <= LARGEST and settled_at <= LATEST:
                    self._remember(offset, ids, offsets, settled_at)

    def _apply(self, placed: Placed) -> None:
        entry, offset = placed.entry, placed.offset
        behind = self.found is None or offset > self.found.at
        if isinstance(entry, Stray):
            if behind:
                self.strays.append(offset)
            if entry.is_in_place and offset >= self._known_from and self.unreadable is None:
                self.unreadable = placed
            return
        if isinstance(entry, Claim | Checkpoint | Accepted):
            self.people.append(placed)
        if self.cut is None and behind and placed.at > offset:
            self.cut = placed
        if placed.counts:
            self._count(entry, offset)

    def _count(self, entry: Entry, offset: JournalOffset) -> None:
        if offset >= self._landmark_at:
            self._attempts.apply(entry)
        elif isinstance(entry, Accepted):
            self._start_anew(offset)
        if isinstance(entry, Outcome):
            for settled in entry.settled:
                self._recall(settled, offset)
                self._remember(offset, settled.fingerprints, settled.offsets, settled.verdict.completed_at)

    def _start_anew(self, offset: JournalOffset) -> None:
        self.anew = True
        self._upto = offset
        self._ids, self._since, self._until, self._packed = {}, NEVER, LONG_AGO, []

    def _recall(self, settled: Settled, at: JournalOffset) -> None:
        for offset, received_at in zip(settled.offsets, settled.received, strict=True):
            if offset >= self._floor:
                known = UnpublishedOutcome(verdict=settled.verdict, received_at=received_at, journal_offset=at)
                self._known.setdefault(offset, known)

    def people_behind(self) -> list[Placed]:
        """Return what of `people` stands behind the landmark: what stands before it has been told of."""
        return [placed for placed in self.people if self.found is None or placed.offset > self.found.at]

    # ---------------------------------------------------------------- event IDs

    def _remember(self, at: JournalOffset, prints: bytes, offsets: Sequence[Offset], settled_at: Instant) -> None:
        """Take note of an outcome's IDs."""
        remembering = self._remembering
        if remembering is None or not prints or at < self._upto or settled_at < remembering.horizon:
            return
        policies, size = remembering.policies, FINGERPRINT_BYTES
        since, until = min(self._since, settled_at), max(self._until, settled_at)
        full = len(self._ids) >= policies.memory_sizes.segment_ids
        if self._ids and (full or until - since > policies.deduplication_ttl_seconds / GENERATIONS):
            self._pack(at)
            since = until = settled_at
        self._since, self._until = since, until
        fingerprints = [prints[start : start + size] for start in range(0, len(prints), size)]
        self._ids.update(zip(fingerprints, offsets, strict=True))

    def _pack(self, covers_to: JournalOffset) -> None:
        self._packed.append(Packed(packed(self._ids, since=self._since, until=self._until), covers_to))
        self._ids, self._since, self._until = {}, NEVER, LONG_AGO

    def take_packed(self) -> list[Packed]:
        """Return the segments that were made since the last call: nothing of them is kept here."""
        taken, self._packed = self._packed, []
        return taken

    # ---------------------------------------------------------------- the end

    def taken_over(self, start: Offset, *, skipped: Skipped | None = None) -> TakenOver:
        """Return what all that was fed says of the records from `start` on."""
        checkpoint, memory = self.checkpoint, self.memory
        published = OffsetRanges() if checkpoint is None else OffsetRanges(checkpoint.settled)
        published.cut(0, start)
        known = {
            offset: outcome for offset, outcome in self._known.items() if offset >= start and offset not in published
        }
        trials = {
            offset: tried
            for offset, tried in self._attempts.trials().items()
            if offset >= start and offset not in known and offset not in published
        }
        return TakenOver(
            start=start,
            known=known,
            published=published,
            trials=trials,
            attempts=self._attempts,
            recalled=Recalled(
                upto=self._upto,
                ids=self._ids,
                since=self._since,
                until=self._until,
                forgotten=None if memory is None else memory.forgotten,
            ),
            mark=None if checkpoint is None else checkpoint.mark,
            skipped=skipped,
            platform=NOTHING if checkpoint is None else checkpoint.platform,
        )

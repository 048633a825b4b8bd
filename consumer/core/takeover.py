"""Taking a partition over: where to start, and what its journal says of the records from there on. Never reads a log.

The service reads; this decides, over values, so that every row of the table can be tried without a broker.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from consumer.core.attempts import Attempts
from consumer.core.journal import (
    FINGERPRINT_BYTES,
    Accepted,
    Checkpoint,
    Mark,
    Outcome,
    Placed,
    Settled,
    Skipped,
    Stray,
)
from consumer.core.lane import Known, TakenOver
from consumer.core.platform_memory import NOTHING
from consumer.core.terms import Instant, JournalOffset, Offset

OUR_MARK = "campaign-consumer/1"
"""Stands in the metadata of our commits: a commit without it was made by somebody else (a tool, a migration)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known before the first record is read. Offsets are of the events partition."""

    committed: Offset | None
    committed_by_us: bool
    checkpoint: Checkpoint | None
    journal_is_whole: bool
    """Whether the journal still has its beginning."""
    log_start: Offset
    log_end: Offset
    accepted: Accepted | None = None
    """An operator's word that the partition may start anew, where no checkpoint has followed it yet."""
    cut: Placed | None = None
    """An entry that stands below where its writer expected it: the journal has lost its end since."""
    unreadable: Placed | None = None
    """A stray where an entry has to be: an owner has said something that we cannot read."""
    differs_at: Offset | None = None
    """Where the record stands that is not the one that the checkpoint's mark speaks of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Read from here. `rewound` and `skipped` count offsets that a tool moved the group by; `lost` ones are gone.

    `commit` says that the group has committed more than that and must be taken back to here: an operator has decided
    so, and whoever came next would go by the commit.
    """

    offset: Offset
    rewound: int = 0
    skipped: int = 0
    lost: int = 0
    commit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """This partition must not start before somebody has looked at it."""

    why: str
    may_pass: bool = False
    """Whether waiting may help: a broker that is still catching up looks like a truncated topic."""


def starting_point(evidence: Evidence) -> Start | Stop:
    """Return where to start by the evidence, or why not to."""
    committed, checkpoint, accepted = evidence.committed, evidence.checkpoint, evidence.accepted
    if evidence.cut is not None:
        return Stop(
            why=f"the entry at journal offset {evidence.cut.offset} was to stand at {evidence.cut.at}: the journal has "
            "lost its end, so what was sent last cannot be known; find out what happened to the journal topic"
        )
    if evidence.unreadable is not None and isinstance(evidence.unreadable.entry, Stray):
        return Stop(
            why=f"the record at journal offset {evidence.unreadable.offset} stands where it says, as only an owner's "
            f"entry does, and cannot be read ({evidence.unreadable.entry.why}): a newer version may have written it, "
            "so run that one, or find out who writes to the journal topic"
        )
    if accepted is not None and checkpoint is None:
        beyond = committed is not None and committed > accepted.start
        return _within_log(evidence, Start(offset=accepted.start, commit=beyond))
    if evidence.differs_at is not None:
        return Stop(
            why=f"the record at offset {evidence.differs_at} is not the one that was read before: "
            "the topic was recreated"
        )
    if checkpoint is not None:
        return _within_log(evidence, _resumed(committed, evidence, checkpoint.watermark))
    if evidence.committed_by_us or not evidence.journal_is_whole:
        return Stop(
            why="the journal has lost its beginning and holds no checkpoint, so what was sent before cannot be known; "
            "find out what happened to the journal topic"
        )
    if committed is None:
        return Start(offset=evidence.log_start)
    return _within_log(evidence, Start(offset=committed))


def _resumed(committed: Offset | None, evidence: Evidence, watermark: Offset) -> Start:
    if committed is None or committed == watermark:
        return Start(offset=watermark)
    if committed < watermark:
        rewound = 0 if evidence.committed_by_us else watermark - committed
        return Start(offset=watermark, rewound=rewound)
    skipped = 0 if evidence.committed_by_us else committed - watermark
    return Start(offset=committed, skipped=skipped)


def _within_log(evidence: Evidence, start: Start) -> Start | Stop:
    if evidence.log_end < start.offset:
        return Stop(
            why=f"the events partition ends at offset {evidence.log_end}, below what is done ({start.offset}): "
            "the topic was recreated or truncated",
            may_pass=True,
        )
    if evidence.log_start > start.offset:
        lost = evidence.log_start - start.offset
        return replace(start, offset=evidence.log_start, lost=lost)
    return start


def known_done(evidence: Evidence) -> Offset:
    """Return below which offset of a stopped partition everything is done. Of a log made anew, that is nothing."""
    checkpoint, committed = evidence.checkpoint, evidence.committed
    known = committed if checkpoint is None else checkpoint.watermark
    if known is None or evidence.differs_at is not None or not evidence.log_start <= known <= evidence.log_end:
        return evidence.log_start
    return known


def claimed_since(entries: Iterable[Placed], process: str) -> str | None:
    """Return who has taken the partition in `entries`, which stand after our claim; None where nobody has.

    A take-over that was overtaken may read a commit that is younger than its claim: no evidence of a lost journal.
    """
    return next((taken_by for placed in entries if (taken_by := placed.displaces(process)) is not None), None)


def differs(mark: Mark, timestamp_ms: int, key: bytes | None, value: bytes | None) -> bool:
    """Return whether the record at the mark's offset is another one than when it was marked."""
    return (timestamp_ms, len(key or b""), len(value or b"")) != (mark.timestamp_ms, mark.key_bytes, mark.value_bytes)


def last_checkpoint(entries: Sequence[Placed]) -> tuple[JournalOffset, Checkpoint] | None:
    """Return the youngest checkpoint that counts, and where it stands."""
    for placed in reversed(entries):
        if isinstance(placed.entry, Checkpoint) and placed.counts:
            return placed.offset, placed.entry
    return None


def since_accepted(entries: Sequence[Placed]) -> Sequence[Placed]:
    """Return the entries from the last word of an operator on: what stands before it says nothing any more."""
    for index in range(len(entries) - 1, -1, -1):
        if isinstance(entries[index].entry, Accepted) and entries[index].counts:
            return entries[index:]
    return entries


def accepted(entries: Sequence[Placed]) -> Accepted | None:
    """Return an operator's word in entries that begin with the last one."""
    first = entries[0] if entries else None
    return first.entry if first is not None and first.counts and isinstance(first.entry, Accepted) else None


def cut(entries: Sequence[Placed]) -> Placed | None:
    """Return the first entry behind the last checkpoint that stands below where it was to stand; None without one."""
    return next(
        (
            placed
            for placed in since_checkpoint(entries)
            if placed.at > placed.offset and not isinstance(placed.entry, Stray)
        ),
        None,
    )


def unreadable(entries: Sequence[Placed]) -> Placed | None:
    """Return the first stray that stands where an owner's entry would, as far back as anything counts; None without one."""
    found = last_checkpoint(entries)
    unpublished = None if found is None else found[1].unpublished
    since = JournalOffset(0) if found is None else found[0] if unpublished is None else min(found[0], unpublished)
    for placed in entries:
        if placed.offset >= since and isinstance(placed.entry, Stray) and placed.entry.is_in_place:
            return placed
    return None


def strays(entries: Sequence[Placed]) -> list[JournalOffset]:
    """Return where strays stand behind the last checkpoint: those before it have been told of."""
    return [placed.offset for placed in since_checkpoint(entries) if isinstance(placed.entry, Stray)]


def since_checkpoint(entries: Sequence[Placed]) -> Iterator[Placed]:
    """Yield the entries behind the last checkpoint: what stands before it has been told of."""
    found = last_checkpoint(entries)
    since = JournalOffset(-1) if found is None else found[0]
    return (placed for placed in entries if placed.offset > since)


def replay(entries: Sequence[Placed], start: Offset, *, skipped: Skipped | None = None) -> TakenOver:
    """Return what `entries` (in the journal's order, up to our claim) say of the records from `start` on.

    Outcomes count from the first entry on; attempts from the last checkpoint on, which sums up those before it.
    """
    found = last_checkpoint(entries)
    checkpoint_at, checkpoint = found if found is not None else (JournalOffset(-1), None)
    published = set() if checkpoint is None else _expand(checkpoint.settled, start)
    attempts = Attempts()
    known: dict[Offset, Known] = {}
    fingerprints: list[tuple[Instant, dict[bytes, Offset]]] = []
    for placed in entries:
        if not placed.counts or isinstance(placed.entry, Stray):
            continue
        if placed.offset >= checkpoint_at:
            attempts.apply(placed.entry)
        if isinstance(placed.entry, Outcome):
            for settled in placed.entry.settled:
                _recall(settled, placed.offset, start, known)
                fingerprints.append((settled.verdict.completed_at, _fingerprints(settled)))
    known = {offset: outcome for offset, outcome in known.items() if offset not in published}
    trials = {
        offset: tried
        for offset, tried in attempts.trials().items()
        if offset >= start and offset not in known and offset not in published
    }
    return TakenOver(
        start=start,
        known=known,
        published=published,
        trials=trials,
        attempts=attempts,
        fingerprints=fingerprints,
        mark=None if checkpoint is None else checkpoint.mark,
        skipped=skipped,
        platform=NOTHING if checkpoint is None else checkpoint.platform,
    )


def _expand(settled: Sequence[Offset], start: Offset) -> set[Offset]:
    pairs = zip(settled[::2], settled[1::2], strict=True)
    return {Offset(offset) for first, end in pairs for offset in range(max(first, start), end)}


def _recall(settled: Settled, at: JournalOffset, start: Offset, known: dict[Offset, Known]) -> None:
    for offset, received_at in zip(settled.offsets, settled.received, strict=True):
        if offset >= start:
            known.setdefault(offset, Known(verdict=settled.verdict, received_at=received_at, journal_offset=at))


def _fingerprints(settled: Settled) -> dict[bytes, Offset]:
    prints, size = settled.fingerprints, FINGERPRINT_BYTES
    if not prints:
        return {}
    return {prints[size * index : size * (index + 1)]: offset for index, offset in enumerate(settled.offsets)}

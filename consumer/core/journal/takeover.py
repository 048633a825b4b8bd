"""Taking a partition over: where to start, by what evidence, and who may. Never reads a log.

The service reads; this decides, over values, so that every row of the table can be tried without a broker.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from consumer.core.journal.entries import Accepted, Checkpoint, Mark, Placed, Stray
from consumer.core.journal.stop import Stop, journal_damaged, topic_changed, unreadable_entry
from consumer.core.terms import Offset

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


def starting_point(evidence: Evidence) -> Start | Stop:
    """Return where to start by the evidence, or why not to."""
    committed, checkpoint, accepted = evidence.committed, evidence.checkpoint, evidence.accepted
    if evidence.cut is not None:
        return journal_damaged(
            f"the entry at journal offset {evidence.cut.offset} was to stand at {evidence.cut.at}: the journal has "
            "lost its end, so what was sent last cannot be known"
        )
    if evidence.unreadable is not None and isinstance(evidence.unreadable.entry, Stray):
        return unreadable_entry(
            f"the record at journal offset {evidence.unreadable.offset} stands where it says, as only an owner's "
            f"entry does, and cannot be read ({evidence.unreadable.entry.why}): a newer version may have written it"
        )
    if accepted is not None and checkpoint is None:
        beyond = committed is not None and committed > accepted.start
        return _within_log(evidence, Start(offset=accepted.start, commit=beyond))
    if evidence.differs_at is not None:
        return topic_changed(
            f"the record at offset {evidence.differs_at} is not the one that was read before: the topic was recreated"
        )
    if checkpoint is not None:
        return _within_log(evidence, _resumed(committed, evidence, checkpoint.watermark))
    if evidence.committed_by_us or not evidence.journal_is_whole:
        return journal_damaged(
            "the journal has lost its beginning and holds no checkpoint, so what was sent before cannot be known"
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
        return topic_changed(
            f"the events partition ends at offset {evidence.log_end}, below what is done ({start.offset}): "
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

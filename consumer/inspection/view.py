"""A partition's state as `inspect` shows it: offsets, owner, unknown attempts. Holds values; reads nothing itself."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from consumer.core.journal.entries import Claim
from consumer.core.journal.group import foreign_claims, group_of
from consumer.core.journal.stop import Stop, not_ours
from consumer.core.journal.takeover import Evidence, Start, starting_point
from consumer.core.terms import Instant, JournalOffset, Offset, Partition
from consumer.service.evidence import JournalReading


class State(StrEnum):
    """A partition's state, as `--json` names it."""

    ORDINARY = "ordinary"
    STOPPED = "stopped"
    """It does not start before an operator has decided."""
    ACCEPTED = "accepted"
    """An operator has decided; the next owner starts there."""
    REWOUND = "rewound"
    """A tool moved the group back: ignored, nobody is texted again."""
    SKIPPED = "skipped"
    """A tool moved the group forward: the records between are never sent."""
    RECORDS_LOST = "records_lost"
    """Retention has removed records before they were read."""
    NO_JOURNAL = "no_journal"
    """The journal lacks this partition, so its events wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The member whose claim is the newest."""

    member: str
    process: str
    version: str
    claimed_at: Instant
    in_group: bool
    """Whether it is a member of the group now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that was read about a partition."""

    partition: Partition
    group: str
    """The group of our settings."""
    reading: JournalReading
    evidence: Evidence
    journal_end: JournalOffset
    members: Collection[str]
    claim: tuple[JournalOffset, Claim | None] | None
    """The journal offset of the newest claim, and the claim itself unless retention has removed it."""
    checkpoint_written_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionView:
    """One partition. Offsets are those of the events partition unless they are called journal offsets."""

    partition: Partition
    state: State
    why: str | None = None
    stop: Stop | None = None
    """What stands in a stopped partition's way, and what a person can do about it."""
    committed: Offset | None = None
    watermark: Offset | None = None
    """Where reading would begin now; for a stopped partition, the watermark of its last checkpoint."""
    settled_ahead: int = 0
    """Records from the watermark on that have an outcome."""
    unknown: int = 0
    """Records from the watermark on with an attempt in flight or of unknown fate."""
    log_start: Offset | None = None
    log_end: Offset | None = None
    owner: Owner | None = None
    claim_offset: JournalOffset | None = None
    """The journal offset of the owner's claim."""
    checkpoint_offset: JournalOffset | None = None
    checkpoint_written_at: Instant | None = None
    journal_end: JournalOffset | None = None
    notes: tuple[str, ...] = ()
    """What others have written into the journal by mistake since the last checkpoint; it has no effect."""
    at_work: bool = False
    """Whether the owner is a member of the group, has started the partition, and has not stopped it itself."""

    @property
    def lag(self) -> int | None:
        """Records without an acknowledged result, up to the log's end; None where it is not known."""
        if self.watermark is None or self.log_end is None:
            return None
        return max(0, self.log_end - self.watermark)


def view(seen: Gathered) -> PartitionView:
    """Return a partition's state as its next owner would find it."""
    other = group_of(seen.reading.replay.people)
    if other not in (None, seen.group):
        return _foreign(seen, other)
    evidence, reading = seen.evidence, seen.reading
    point = starting_point(evidence)
    state, why = _state(point, evidence)
    known_start = evidence.committed if reading.checkpoint is None else reading.checkpoint.watermark
    watermark = point.offset if isinstance(point, Start) else known_start
    taken = reading.replay.taken_over(watermark or Offset(0))
    claim_offset = None if seen.claim is None else seen.claim[0]
    owner = _owner(seen)
    begun = reading.checkpoint is not None and claim_offset is not None and reading.checkpoint.claim == claim_offset
    return PartitionView(
        partition=seen.partition,
        state=state,
        why=why,
        stop=point if isinstance(point, Stop) else None,
        committed=evidence.committed,
        watermark=watermark,
        settled_ahead=len(taken.known) + taken.published.count(),
        unknown=sum(trials.lost > 0 for trials in taken.trials.values()),
        log_start=evidence.log_start,
        log_end=evidence.log_end,
        owner=owner,
        claim_offset=claim_offset,
        checkpoint_offset=reading.checkpoint_at,
        checkpoint_written_at=seen.checkpoint_written_at,
        journal_end=seen.journal_end,
        notes=tuple(_notes(seen)),
        at_work=begun and owner is not None and owner.in_group and evidence.cut is None,
    )


def _foreign(seen: Gathered, other: str) -> PartitionView:
    """Return the state of a partition whose journal belongs to another group."""
    evidence, stop = seen.evidence, not_ours(other, seen.group)
    return PartitionView(
        partition=seen.partition,
        state=State.STOPPED,
        why=stop.why,
        stop=stop,
        committed=evidence.committed,
        watermark=evidence.committed,
        log_start=evidence.log_start,
        log_end=evidence.log_end,
        owner=_owner(seen),
        claim_offset=None if seen.claim is None else seen.claim[0],
        journal_end=seen.journal_end,
    )


def _notes(seen: Gathered) -> Iterator[str]:
    replay = seen.reading.replay
    offsets = replay.strays
    if offsets:
        yield (
            f"records in its journal are no entries and say nothing: {len(offsets)}, the last one at journal offset "
            f"{offsets[-1]}; find out who writes there"
        )
    claims = list(foreign_claims(replay.people_behind(), seen.group))
    if claims:
        yield (
            f"group {claims[-1].group!r} has claimed its journal {len(claims)} times, the last time as "
            f"{claims[-1].member}; the partition is taken back: stop that group, or give it a journal of its own"
        )


def _state(point: Start | Stop, evidence: Evidence) -> tuple[State, str | None]:
    if isinstance(point, Stop):
        return State.STOPPED, point.why
    if evidence.accepted is not None and evidence.checkpoint is None:
        return State.ACCEPTED, f"an operator lets it start at offset {evidence.accepted.start}"
    if point.skipped:
        begin = point.offset - point.lost - point.skipped
        return State.SKIPPED, (
            f"the group was moved forward by {point.skipped} offsets: "
            f"records from {begin} up to {begin + point.skipped} are never sent, unless somebody resends them "
            "(campaign-consumer replay plan --skipped)"
        )
    if point.rewound:
        return State.REWOUND, (
            f"the group was moved back by {point.rewound} offsets: without effect, what has an outcome is not sent again; "
            "to resend on purpose: campaign-consumer replay plan"
        )
    if point.lost:
        return State.RECORDS_LOST, f"retention has removed {point.lost} offsets before they were read"
    return State.ORDINARY, None


def _owner(seen: Gathered) -> Owner | None:
    claim = None if seen.claim is None else seen.claim[1]
    if claim is None:
        return None
    return Owner(
        member=claim.member,
        process=claim.process,
        version=claim.version,
        claimed_at=claim.claimed_at,
        in_group=claim.member in seen.members,
    )

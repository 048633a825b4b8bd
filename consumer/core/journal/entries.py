"""The journal's entries: their shapes, how they are written, and when one counts. Never appends, never reads a log.

An entry counts only where it says it stands (`at`); a claim always counts. `segment` packs the event IDs of many
outcomes (`segments.py`). Two kinds are about people: `skipped` is
an owner's note that somebody moved the group forward, `accepted` is an operator's word that a stopped partition may
start anew. Nothing that stands before an `accepted` says anything about the partition any more. Nothing personal is in here:
offsets, instants, verdicts, fingerprints of event IDs and the platform's masked words.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import sub

import msgspec
import orjson

from consumer.core.history import Fate
from consumer.core.memory.platform_memory import NOTHING, Remembered, fields_of
from consumer.core.memory.segments import MemorySummary, Segment, memory_fields, segment_fields
from consumer.core.outcome import Reason, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset, SendId


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Says "I own this partition from here"."""

    group: str
    member: str
    process: str
    version: str
    claimed_at: Instant


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Says "these may be out from here on". Opens one attempt."""

    send_id: SendId
    attempt: int
    campaign_id: int
    offsets: tuple[Offset, ...]
    intended_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Surely not delivered. Closes that attempt and no other; `started` says whether a request really began."""

    send_id: SendId
    attempt: int
    started: bool
    fate: Fate | None = None
    """What it spent of the budgets; None where it never started, and in the journals of versions that did not say."""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Records that share one verdict. `offsets`, `received` and `fingerprints` run side by side.

    `fingerprints` holds 16 bytes a record, or nothing where the records do not enter deduplication.
    """

    verdict: Verdict
    offsets: tuple[Offset, ...]
    received: tuple[Instant, ...]
    fingerprints: bytes


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal verdicts of some records. Closes every attempt of the send that is named."""

    send_id: SendId | None
    settled: tuple[Settled, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a record before the watermark looked like, to know the events topic again. Sizes are bytes."""

    offset: Offset
    timestamp_ms: int
    key_bytes: int
    value_bytes: int


class OpenAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An intent that nothing has closed yet, and that may yet be returned."""

    send_id: SendId
    attempt: int
    offsets: tuple[Offset, ...]
    intended_at: Instant
    answered: bool = False
    """Whether its owner has had an answer that leaves its fate unknown, in the journals of versions that knew no `Doubted`;
    else the answer counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Requests that were started for these records and surely not delivered."""

    offsets: tuple[Offset, ...]
    attempts: int
    counted: int
    """Those of them that count against the budget of attempts."""
    first_tried_at: Instant
    excused: bool = False
    """Whether none of them is one that the age is counted from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """Attempts of unknown fate that nobody can return any more, told by their records: only outcomes close them.

    What was tried for these records before, and surely not delivered, is counted in.
    """

    offsets: tuple[Offset, ...]
    attempts: int
    counted: int
    """Those of them that count against the budget of attempts."""
    lost: int
    """Those of unknown fate: one at least."""
    answers_lost: int
    """Those of the unknown ones that were not answered, or whose owner has not said so."""
    doubt: Reason
    """Why the last of the unknown ones is unknown."""
    first_tried_at: Instant
    last_tried_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A snapshot of all that the entries before it say.

    `settled` are the ranges above the watermark, first and past-the-end in turn, whose results are acknowledged;
    `unpublished` is where the first outcome stands whose results are not.
    """

    group: str
    watermark: Offset
    settled: tuple[Offset, ...]
    open_attempts: tuple[OpenAttempt, ...]
    tried: tuple[Tried, ...]
    unpublished: JournalOffset | None
    mark: Mark | None
    doubted: tuple[Doubted, ...] = ()
    claim: JournalOffset | None = None
    """Where the latest claim of its writer stands."""
    platform: Remembered = NOTHING
    """What its writer knew of the platform."""
    memory: MemorySummary | None = None
    """Where the IDs of settled events stand; None in the journals of versions that knew no segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Somebody moved the group forward over `start` up to but without `stop`: what had no outcome gets none."""

    start: Offset
    stop: Offset
    skipped_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An operator lets a stopped partition start anew, with everything from `start` on ordinary.

    Written by a tool that has read the journal up to here, so it counts only where it says it stands, as its own proof
    that nobody wrote meanwhile. An owner that meets it has lost the partition, as to a claim. `end` was the end of
    the events partition then: records from `start` up to there may have been sent before.
    """

    group: str
    start: Offset
    end: Offset
    why: str
    """Why the partition was stopped."""
    accepted_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A record in a journal partition that is no entry of any version known here: a slip with a producer, mostly.

    It says nothing, as nothing does that stands elsewhere than it says, whoever has written it. One that does stand
    where it says (or calls itself a claim) is another matter: only who knew the journal's end could write that, so an
    owner has said something that we cannot read.
    """

    why: str
    """What is wrong with it, without any of its values."""
    is_in_place: bool


Entry = Claim | Intent | Returned | Outcome | Checkpoint | Skipped | Accepted | Segment

BY_AN_OPERATOR = "an operator (inspect --accept)"
BY_A_STRANGER = "a writer that this version cannot read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An entry as it was read: where it stands, and where its writer expected it to."""

    offset: JournalOffset
    at: JournalOffset
    entry: Entry | Stray

    @property
    def counts(self) -> bool:
        """Whether the entry says anything: its writer was the only one when it was appended."""
        return isinstance(self.entry, Claim) or (self.at == self.offset and not isinstance(self.entry, Stray))

    def displaces(self, process: str) -> str | None:
        """Return who has taken the partition from `process` with this entry; None where nobody has."""
        match self.entry:
            case Claim(process=other, member=member) if other != process:
                return member
            case Accepted() if self.counts:
                return BY_AN_OPERATOR
            case Stray(is_in_place=True):
                return BY_A_STRANGER
            case _:
                return None


def encode(entry: Entry, at: JournalOffset) -> bytes:
    """Return the entry as one small JSON object; `at` is the offset that the writer expects for it."""
    return orjson.dumps(_fields(entry, at))


def _fields(entry: Entry, at: JournalOffset) -> dict[str, object]:
    match entry:
        case Claim():
            return {"at": at, "kind": "claim", **asdict(entry)}
        case Intent():
            return {
                "at": at,
                "kind": "intent",
                "send": entry.send_id,
                "attempt": entry.attempt,
                "campaign": entry.campaign_id,
                "offsets": _deltas(entry.offsets),
                "intended_at": entry.intended_at,
            }
        case Returned():
            told: dict[str, object] = {} if entry.fate is None else {"fate": entry.fate}
            told |= {"send": entry.send_id, "attempt": entry.attempt, "started": entry.started}
            return {"at": at, "kind": "returned", **told}
        case Outcome():
            items = [_settled_fields(settled) for settled in entry.settled]
            return {"at": at, "kind": "outcome", "send": entry.send_id, "settled": items}
        case Checkpoint():
            return {"at": at, "kind": "checkpoint", **_checkpoint_fields(entry)}
        case Skipped():
            return {"at": at, "kind": "skipped", "from": entry.start, "to": entry.stop, "skipped_at": entry.skipped_at}
        case Accepted():
            return {"at": at, "kind": "accepted", **asdict(entry)}
        case Segment():
            return {"at": at, "kind": "segment", **segment_fields(entry)}


def _settled_fields(settled: Settled) -> dict[str, object]:
    verdict = settled.verdict
    fields: dict[str, object] = {
        "offsets": _deltas(settled.offsets),
        "received": _run_lengths(settled.received),
        "fingerprints": b64encode(settled.fingerprints).decode("ascii"),
        "status": verdict.status,
        "completed_at": verdict.completed_at,
    }
    if verdict.reason is not None:
        fields["reason"] = verdict.reason
    if verdict.send_id is not None:
        fields["send"] = verdict.send_id
    if verdict.attempts:
        fields["attempts"] = verdict.attempts
    if verdict.detail is not None:
        fields["detail"] = verdict.detail
    if verdict.dispatched_at is not None:
        fields["dispatched_at"] = verdict.dispatched_at
    if verdict.possible_duplicate:
        fields["possible_duplicate"] = True
    if verdict.related is not None:
        fields["related"] = asdict(verdict.related)
    if verdict.response is not None:
        response = verdict.response
        fields["response"] = {
            "status": response.status,
            "id": response.id,
            "message": response.message,
            "item": response.item,
        }
    return fields


def _checkpoint_fields(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "group": checkpoint.group,
        "watermark": checkpoint.watermark,
        "settled": _deltas(checkpoint.settled),
        "open": [*map(_open_fields, checkpoint.open_attempts), *map(_doubted_fields, checkpoint.doubted)],
        "tried": [
            {"attempts": one.attempts, "counted": one.counted, "first_at": one.first_tried_at}
            | ({"excused": True} if one.excused else {})
            | {"offsets": _deltas(one.offsets)}
            for one in checkpoint.tried
        ],
        "unpublished": checkpoint.unpublished,
        "mark": None if checkpoint.mark is None else asdict(checkpoint.mark),
        "claim": checkpoint.claim,
        "platform": fields_of(checkpoint.platform),
        "memory": memory_fields(checkpoint.memory),
    }


def _open_fields(one: OpenAttempt) -> dict[str, object]:
    return {"send": one.send_id, "attempt": one.attempt, "at": one.intended_at, "offsets": _deltas(one.offsets)}


def _doubted_fields(one: Doubted) -> dict[str, object]:
    """Beside attempts that have a name, where a version that knows only those stops, and forgets no doubt."""
    fields: dict[str, object] = {
        "attempts": one.attempts,
        "counted": one.counted,
        "lost": one.lost,
        "answers_lost": one.answers_lost,
        "doubt": one.doubt,
        "first_at": one.first_tried_at,
    }
    if one.last_tried_at != one.first_tried_at:
        fields["last_at"] = one.last_tried_at
    return fields | {"offsets": _deltas(one.offsets)}


def _deltas(offsets: Sequence[int]) -> list[int]:
    """Offsets as steps from one to the next: a few bytes each, whatever their size."""
    return list(offsets) if len(offsets) == 1 else [*offsets[:1], *map(sub, offsets[1:], offsets)]


def _run_lengths(instants: Sequence[Instant]) -> list[tuple[Instant, int]]:
    """Instants with how often each repeats: records of one fetched batch share theirs."""
    if len(instants) == 1:
        return [(instants[0], 1)]
    return [(instant, len(list(run))) for instant, run in groupby(instants)]

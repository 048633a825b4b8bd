"""The journal's entries, as anybody can read them: JSON, one object each. Decides only whether an entry counts.

Written from the description of the journal, not from the code that writes it.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from itertools import accumulate
from struct import iter_unpack
from typing import Any, NamedTuple

import orjson

FINGERPRINT_BYTES = 16

Attempt = tuple[str, int]
"""A send's ID and the number of its attempt."""


class AuditedClaim(NamedTuple):
    """Somebody owns the partition from here on."""

    group: str


class AuditedIntent(NamedTuple):
    """These records may be out from here on."""

    attempt: Attempt
    campaign: int
    offsets: Sequence[int]


class AuditedReturned(NamedTuple):
    """This attempt surely delivered nothing."""

    attempt: Attempt
    started: bool


class AuditedVerdict(NamedTuple):
    """What some records' results must say. Instants are milliseconds since 1970."""

    status: str
    reason: str | None
    send_id: str | None
    attempts: int
    possible_duplicate: bool
    dispatched_ms: int | None
    completed_ms: int
    related: Mapping[str, Any] | None
    detail: str | None
    response: Mapping[str, Any] | None


class AuditedSettled(NamedTuple):
    """Records that share one verdict, and when each was received (milliseconds), side by side."""

    verdict: AuditedVerdict
    offsets: Sequence[int]
    received_ms: Sequence[int]


class AuditedOutcome(NamedTuple):
    """The terminal verdicts of some records."""

    settled: Sequence[AuditedSettled]


class AuditedCheckpoint(NamedTuple):
    """What its writer believes the entries before it to say. `tried` has the requests that surely failed, by record.

    Open attempts that can never be returned are told by record, too: `doubted` has how many, without their names.
    """

    group: str
    watermark: int
    settled: Sequence[tuple[int, int]]
    open_attempts: Sequence[tuple[Attempt, Sequence[int]]]
    doubted: Sequence[tuple[int, Sequence[int]]]
    tried: Sequence[tuple[int, Sequence[int]]]
    segments: Sequence[int]
    """Where in the journal the segments stand that hold the IDs of settled events."""


class AuditedSegment(NamedTuple):
    """The IDs of some settled events, for later owners to recognise; `offsets` are those of their records."""

    offsets: Sequence[int]


class AuditedSkipped(NamedTuple):
    """The group was moved forward over these records, `stop` exclusive."""

    start: int
    stop: int


class AuditedAccepted(NamedTuple):
    """An operator let the partition start anew: nothing before this entry speaks of records from `start` on."""

    group: str
    start: int
    end: int


class UnknownEntry(NamedTuple):
    """An entry of a kind that says nothing about records."""

    kind: str


Entry = (
    AuditedClaim
    | AuditedIntent
    | AuditedReturned
    | AuditedOutcome
    | AuditedCheckpoint
    | AuditedSegment
    | AuditedSkipped
    | AuditedAccepted
    | UnknownEntry
)


class NotAnEntryError(ValueError):
    """A record of the journal that is no entry."""


def read_entry(offset: int, value: bytes | None) -> Entry | None:
    """Return what the entry at `offset` says; None where it does not count.

    Raises:
        NotAnEntryError: it is none.
    """
    try:
        fields: Mapping[str, Any] = orjson.loads(value or b"")
        counts = fields["kind"] == "claim" or int(fields["at"]) == offset
        return _read(fields) if counts else None
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotAnEntryError(type(error).__name__) from error


def _read(fields: Mapping[str, Any]) -> Entry:
    match fields["kind"]:
        case "claim":
            return AuditedClaim(fields["group"])
        case "intent":
            return AuditedIntent(
                (fields["send"], fields["attempt"]), int(fields["campaign"]), _offsets(fields["offsets"])
            )
        case "returned":
            return AuditedReturned((fields["send"], fields["attempt"]), bool(fields["started"]))
        case "outcome":
            return AuditedOutcome([_settled(item) for item in fields["settled"]])
        case "checkpoint":
            return _checkpoint(fields)
        case "segment":
            return _segment(fields)
        case kind:
            return _decision(kind, fields)


def _checkpoint(fields: Mapping[str, Any]) -> AuditedCheckpoint:
    """What stands in `open` without a send counts all attempts of its records, `lost` of them are open."""
    bounds = _offsets(fields["settled"])
    named = [one for one in fields["open"] if "send" in one]
    unnamed = [one for one in fields["open"] if "send" not in one]
    failed = [(int(one["attempts"]) - int(one["lost"]), one) for one in unnamed]
    return AuditedCheckpoint(
        fields["group"],
        int(fields["watermark"]),
        list(zip(bounds[::2], bounds[1::2], strict=True)),
        [((one["send"], one["attempt"]), _offsets(one["offsets"])) for one in named],
        [(int(one["lost"]), _offsets(one["offsets"])) for one in unnamed],
        [
            (count, _offsets(one["offsets"]))
            for count, one in [*[(int(one["attempts"]), one) for one in fields["tried"]], *failed]
        ],
        [int(stands) for stands, *_ in (fields.get("memory") or {"segments": ()})["segments"]],
    )


def _decision(kind: Any, fields: Mapping[str, Any]) -> AuditedSkipped | AuditedAccepted | UnknownEntry:
    """What people did to the partition; or a kind that nobody knows."""
    match kind:
        case "skipped":
            return AuditedSkipped(int(fields["from"]), int(fields["to"]))
        case "accepted":
            return AuditedAccepted(fields["group"], int(fields["start"]), int(fields["end"]))
        case _:
            return UnknownEntry(str(kind))


def _segment(fields: Mapping[str, Any]) -> AuditedSegment:
    """Fingerprints of 16 bytes, and beside them how far above `base` each record stands, in little-endian numbers."""
    above, width = b64decode(fields["above"]), int(fields["width"])
    count, rest = divmod(len(above), width)
    if rest or len(b64decode(fields["fingerprints"])) != FINGERPRINT_BYTES * count:
        raise ValueError("as many fingerprints as records")
    base = int(fields["base"])
    return AuditedSegment([base + step for (step,) in iter_unpack({4: "<I", 8: "<Q"}[width], above)])


def _settled(item: Mapping[str, Any]) -> AuditedSettled:
    offsets = _offsets(item["offsets"])
    received: list[int] = []
    for instant, count in item["received"]:
        received += [_milliseconds(instant)] * count
    if len(received) != len(offsets):
        raise ValueError("as many instants as records")
    dispatched = item.get("dispatched_at")
    verdict = AuditedVerdict(
        item["status"],
        item.get("reason"),
        item.get("send"),
        int(item.get("attempts", 0)),
        bool(item.get("possible_duplicate", False)),
        None if dispatched is None else _milliseconds(dispatched),
        _milliseconds(item["completed_at"]),
        _related(item.get("related")),
        item.get("detail"),
        item.get("response"),
    )
    return AuditedSettled(verdict, offsets, received)


def _related(related: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """In the words of a result."""
    if related is None:
        return None
    return {"eventId": related["event_id"], "partition": related["partition"], "offset": related["offset"]}


def _milliseconds(instant: float) -> int:
    return round(instant * 1000)


def _offsets(steps: Sequence[int]) -> Sequence[int]:
    return list(accumulate(steps))

"""Journal records as they are read: entries, or strays that say nothing. Takes whatever bytes there are, and never fails.

Anybody may write to a topic by mistake. So an entry has to be whole, with every value of its type and in its range: a
record that only looks like one settles nothing.
"""

from array import array
from base64 import b64decode
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, Final

import orjson

from consumer.core.history import Fate
from consumer.core.journal.entries import (
    Accepted,
    Checkpoint,
    Claim,
    Doubted,
    Entry,
    Intent,
    Mark,
    OpenAttempt,
    Outcome,
    Placed,
    Returned,
    Settled,
    Skipped,
    Stray,
    Tried,
)
from consumer.core.memory.platform_memory import Remembered, remembered_of
from consumer.core.memory.segments import (
    FINGERPRINT_BYTES,
    NARROW,
    WIDE,
    WIDE_BYTES,
    MemorySummary,
    Segment,
    SegmentRef,
    little_endian,
)
from consumer.core.outcome import Reason, Related, Response, Status, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset, SendId

NOWHERE: Final = JournalOffset(-1)
"""Where a record says it stands that does not say so."""

MOST_SETTLED: Final = 10_000_000
"""Records above a watermark that a checkpoint may call settled: a hundred times what is read ahead by default."""


LARGEST: Final = 2**63 - 1
"""Of a number: what an offset or a campaign's ID may be."""

LATEST: Final = 253_402_300_799.0
"""The last second of the year 9999: what RFC 3339 can spell."""


class _NoEntryError(ValueError):
    """A value is not what an entry has there."""


def decode(offset: JournalOffset, value: bytes) -> Placed:
    """Return what stands at `offset`: an entry, or a stray."""
    fields: object = None
    try:
        fields = orjson.loads(value)
        if type(fields) is not dict:
            return _stray(offset, NOWHERE, "no JSON object")
        return Placed(offset=offset, at=JournalOffset(_count(fields["at"])), entry=_entry(fields))
    except orjson.JSONDecodeError:
        return _stray(offset, NOWHERE, "not JSON")
    except KeyError as error:
        why = f"no entry: {error.args[0]!r} is missing"
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        why = str(error) if isinstance(error, _NoEntryError) else "no entry: a value has another shape"
    assert isinstance(fields, dict)
    at = fields.get("at")
    return _stray(offset, at if type(at) is int else NOWHERE, why, is_claim=fields.get("kind") == "claim")


def _stray(offset: JournalOffset, at: int, why: str, *, is_claim: bool = False) -> Placed:
    stray = Stray(why=why, is_in_place=is_claim or at == offset)
    return Placed(offset=offset, at=JournalOffset(at), entry=stray)


def _entry(fields: Mapping[str, Any]) -> Entry:
    match fields["kind"]:
        case "claim":
            return Claim(
                group=_text(fields["group"]),
                member=_text(fields["member"]),
                process=_text(fields["process"]),
                version=_text(fields["version"]),
                claimed_at=_instant(fields["claimed_at"]),
            )
        case "intent":
            return Intent(
                send_id=_send(fields["send"]),
                attempt=_count(fields["attempt"]),
                campaign_id=_count(fields["campaign"]),
                offsets=_offsets(fields["offsets"]),
                intended_at=_instant(fields["intended_at"]),
            )
        case "returned":
            started, fate = _flag(fields["started"]), fields.get("fate")
            return Returned(
                send_id=_send(fields["send"]),
                attempt=_count(fields["attempt"]),
                started=started,
                fate=None if fate is None else Fate(fate),
            )
        case "outcome":
            send_id = None if fields["send"] is None else _send(fields["send"])
            return Outcome(send_id=send_id, settled=tuple([_settled(item) for item in fields["settled"]]))
        case "checkpoint":
            return _checkpoint(fields)
        case "skipped":
            return Skipped(
                start=_offset(fields["from"]), stop=_offset(fields["to"]), skipped_at=_instant(fields["skipped_at"])
            )
        case "accepted":
            return Accepted(
                group=_text(fields["group"]),
                start=_offset(fields["start"]),
                end=_offset(fields["end"]),
                why=_text(fields["why"]),
                accepted_at=_instant(fields["accepted_at"]),
            )
        case "segment":
            return _segment(fields)
        case _:
            raise _NoEntryError("an entry of an unknown kind")


def _settled(item: Mapping[str, Any]) -> Settled:
    related, response = item.get("related"), item.get("response")
    reason, send_id, dispatched_at = item.get("reason"), item.get("send"), item.get("dispatched_at")
    detail = item.get("detail")
    offsets, fingerprints = _offsets(item["offsets"]), b64decode(_text(item["fingerprints"]), validate=True)
    if len(fingerprints) not in (0, FINGERPRINT_BYTES * len(offsets)):
        raise _NoEntryError("no entry: its fingerprints are not those of its records")
    return Settled(
        offsets=offsets,
        received=_received(item["received"], len(offsets)),
        fingerprints=fingerprints,
        verdict=Verdict(
            status=Status(item["status"]),
            reason=None if reason is None else Reason(reason),
            send_id=None if send_id is None else _send(send_id),
            attempts=_count(item.get("attempts", 0)),
            possible_duplicate=_flag(item.get("possible_duplicate", False)),
            related=None if related is None else _related(related),
            detail=None if detail is None else _text(detail),
            dispatched_at=None if dispatched_at is None else _instant(dispatched_at),
            completed_at=_instant(item["completed_at"]),
            response=None if response is None else _response(response),
        ),
    )


def _received(runs: Sequence[Sequence[Any]], records: int) -> tuple[Instant, ...]:
    if sum([_count(count) for _, count in runs]) != records:
        raise _NoEntryError("no entry: its instants are not those of its records")
    return tuple(chain.from_iterable([[_instant(instant)] * count for instant, count in runs]))


def _related(fields: Mapping[str, Any]) -> Related:
    return Related(
        event_id=_text(fields["event_id"]), partition=_count(fields["partition"]), offset=_offset(fields["offset"])
    )


def _response(fields: Mapping[str, Any]) -> Response:
    said_id, message, item = fields["id"], fields["message"], fields["item"]
    if not isinstance(said_id, str | int | float | None) or not isinstance(item, dict | None):
        raise _NoEntryError("no entry: words of the platform that are none")
    message = None if message is None else _text(message)
    return Response(status=_count(fields["status"]), id=said_id, message=message, item=item)


def _checkpoint(fields: Mapping[str, Any]) -> Checkpoint:
    mark, claim, unpublished = fields["mark"], fields.get("claim"), fields["unpublished"]
    return Checkpoint(
        group=_text(fields["group"]),
        watermark=_offset(fields["watermark"]),
        settled=_ranges(fields["settled"]),
        open_attempts=tuple(
            OpenAttempt(
                send_id=_send(one["send"]),
                attempt=_count(one["attempt"]),
                intended_at=_instant(one["at"]),
                offsets=_offsets(one["offsets"]),
                answered=_flag(one.get("answered", False)),
            )
            for one in fields["open"]
            if "send" in one
        ),
        doubted=tuple(_doubted(one) for one in fields["open"] if "send" not in one),
        tried=tuple(
            Tried(
                attempts=_count(one["attempts"]),
                first_tried_at=_instant(one["first_at"]),
                offsets=_offsets(one["offsets"]),
                counted=_count(one.get("counted", one["attempts"])),
                excused=_flag(one.get("excused", False)),
            )
            for one in fields["tried"]
        ),
        unpublished=None if unpublished is None else JournalOffset(_count(unpublished)),
        mark=None if mark is None else _mark(mark),
        claim=None if claim is None else JournalOffset(_count(claim)),
        platform=_platform(fields.get("platform")),
        memory=_memory(fields.get("memory")),
    )


def _doubted(one: Mapping[str, Any]) -> Doubted:
    attempts, counted, lost, answers_lost = (
        _count(one[name]) for name in ("attempts", "counted", "lost", "answers_lost")
    )
    if not (lost >= 1 and answers_lost <= lost <= counted <= attempts):
        raise _NoEntryError("no entry: attempts that do not add up")
    first_at = _instant(one["first_at"])
    return Doubted(
        offsets=_offsets(one["offsets"]),
        attempts=attempts,
        counted=counted,
        lost=lost,
        answers_lost=answers_lost,
        doubt=Reason(one["doubt"]),
        first_tried_at=first_at,
        last_tried_at=_instant(one.get("last_at", first_at)),
    )


def _segment(fields: Mapping[str, Any]) -> Segment:
    above = array(WIDE if _count(fields["width"]) == WIDE_BYTES else NARROW)
    above.frombytes(b64decode(_text(fields["above"]), validate=True))
    fingerprints = b64decode(_text(fields["fingerprints"]), validate=True)
    if not above or len(fingerprints) != FINGERPRINT_BYTES * len(above):
        raise _NoEntryError("no entry: its fingerprints are not those of its records")
    return Segment(
        since=_instant(fields["since"]),
        until=_instant(fields["until"]),
        fingerprints=fingerprints,
        base=_offset(fields["base"]),
        above=little_endian(above),
    )


def _memory(fields: Mapping[str, Any] | None) -> MemorySummary | None:
    if fields is None:
        return None
    forgotten = fields["forgotten"]
    return MemorySummary(
        upto=JournalOffset(_count(fields["upto"])),
        forgotten=None if forgotten is None else _instant(forgotten),
        segments=tuple(
            SegmentRef(
                stands=JournalOffset(_count(stands)),
                count=_count(count),
                since=_instant(since),
                until=_instant(until),
            )
            for stands, count, since, until in fields["segments"]
        ),
    )


def _platform(said: Any) -> Remembered:
    remembered = remembered_of(said)
    if remembered.contact is not None:
        _text(remembered.contact)
    return remembered


def _mark(fields: Mapping[str, Any]) -> Mark:
    return Mark(
        offset=_offset(fields["offset"]),
        timestamp_ms=_number(fields["timestamp_ms"]),
        key_bytes=_count(fields["key_bytes"]),
        value_bytes=_count(fields["value_bytes"]),
    )


def _ranges(deltas: Sequence[Any]) -> tuple[Offset, ...]:
    bounds = _offsets(deltas)
    pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    if any(stop <= first for first, stop in pairs) or sum([stop - first for first, stop in pairs]) > MOST_SETTLED:
        raise _NoEntryError("no entry: its ranges are none")
    return bounds


# ---------------------------------------------------------------- single values


def _offsets(deltas: Sequence[Any]) -> tuple[Offset, ...]:
    if type(deltas) is not list or not set(map(type, deltas)) <= {int}:
        raise _NoEntryError("no entry: offsets that are none")
    offsets = tuple(accumulate(deltas))
    if offsets and not (min(offsets) >= 0 and max(offsets) <= LARGEST):
        raise _NoEntryError("no entry: an offset out of range")
    return offsets


def _offset(value: Any) -> Offset:
    return Offset(_count(value))


def _count(value: Any) -> int:
    if not 0 <= _number(value) <= LARGEST:
        raise _NoEntryError("no entry: a number out of range")
    return int(value)


def _number(value: Any) -> int:
    if type(value) is not int:
        raise _NoEntryError("no entry: no number where one stands")
    return value


def _instant(value: Any) -> Instant:
    if type(value) not in (int, float) or not 0 <= value <= LATEST:
        raise _NoEntryError("no entry: no instant where one stands")
    return Instant(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _NoEntryError("no entry: no text where one stands")
    return value


def _send(value: Any) -> SendId:
    return SendId(_text(value))


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _NoEntryError("no entry: neither true nor false where one stands")
    return value

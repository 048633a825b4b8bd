"""Outcomes on their way into the journal: cuts them into entries that fit, and queues them. Proves nothing."""

from collections.abc import Iterator, Sequence
from itertools import chain

import orjson
from msgspec.structs import replace

from consumer.core.event import NO_RESEND, Decoded, Event
from consumer.core.journal.entries import Outcome, Settled
from consumer.core.journal.lane import FirstRecord, Lane, Settlement
from consumer.core.journal.ledger import MAX_APPEND_BYTES
from consumer.core.outcome import Status, Verdict
from consumer.core.terms import Offset, SendId, millisecond_of

MAX_OUTCOME_BYTES = MAX_APPEND_BYTES // 4
"""What one outcome entry may take: beside a checkpoint, others ride on the same append."""

RECORD_BYTES = 80
"""What a record adds to its outcome entry at most: its offset, the instant it was received, its fingerprint."""

VERDICT_BYTES = 400
"""What a verdict adds at most, besides the words that it quotes: instants, IDs of ours, names of fields."""


def settle(lane: Lane, items: list[tuple[Verdict, list[Decoded]]], send_id: SendId | None) -> None:
    """Queue the outcome of records of one partition for the journal; what follows from it waits for the proof."""
    alike: list[tuple[Verdict, list[Decoded]]] = []
    for verdict, records in items:
        if alike and (alike[-1][0] is verdict or alike[-1][0] == verdict):
            alike[-1][1].extend(records)
        else:
            alike.append((verdict, list(records)))
    alike = [(_as_told(verdict), records) for verdict, records in alike]
    for chunk in _entries(alike, min(MAX_OUTCOME_BYTES, lane.ledger.max_append_bytes // 4)):
        settled = tuple([settled_records(verdict, records) for verdict, records in chunk])
        offsets = list(chain.from_iterable([item.offsets for item in settled]))
        first = _first(chunk, offsets)
        settlement = Settlement(
            lane=lane,
            items=chunk,
            offsets=offsets,
            size_bytes=sum([record.size_bytes for _, records in chunk for record in records]),
            first=FirstRecord(first.offset, first.timestamp_ms, first.received_at),
            campaign_id=first.group.campaign_id if send_id is not None and type(first) is Event else None,
            oldest_ms=None if send_id is None else _oldest_ms(chunk, len(offsets)),
            fingerprints=() if _have_resends(chunk) else [item.fingerprints for item in settled],
        )
        lane.begin_settling(settlement)
        lane.ledger.add(Outcome(send_id=send_id, settled=settled), settlement)


def _as_told(verdict: Verdict) -> Verdict:
    """Return a verdict with its instants as its results tell them, so that journal and results say the same."""
    dispatched_at, completed_at = verdict.dispatched_at, millisecond_of(verdict.completed_at)
    if dispatched_at is not None:
        dispatched_at = millisecond_of(dispatched_at)
    if (dispatched_at, completed_at) == (verdict.dispatched_at, verdict.completed_at):
        return verdict
    return replace(verdict, dispatched_at=dispatched_at, completed_at=completed_at)


def _first(items: list[tuple[Verdict, list[Decoded]]], offsets: list[Offset]) -> Decoded:
    lowest = min(offsets)
    if offsets[0] == lowest:  # members are mostly in the order of their coming
        return items[0][1][0]
    return next(record for _, records in items for record in records if record.offset == lowest)


def _oldest_ms(items: list[tuple[Verdict, list[Decoded]]], count: int) -> int | None:
    """Return the earliest timestamp of a send's members; None where one of them is immediate."""
    stamps = [
        record.timestamp_ms
        for _, records in items
        for record in records
        if type(record) is Event and not record.immediate
    ]
    return min(stamps) if len(stamps) == count else None


def _have_resends(items: list[tuple[Verdict, list[Decoded]]]) -> bool:
    return bool([record for _, records in items for record in records if record.resend is not NO_RESEND])


def _entries(
    alike: list[tuple[Verdict, list[Decoded]]], most_bytes: int
) -> Iterator[list[tuple[Verdict, list[Decoded]]]]:
    """Yield what fits into one entry each, by the bytes that JSON will take: verdicts may quote the platform."""
    entry: list[tuple[Verdict, list[Decoded]]] = []
    room = most_bytes
    for verdict, records in alike:
        verdict_bytes = VERDICT_BYTES + _quoted_bytes(verdict)
        left = records
        while left:
            if entry and room < verdict_bytes + RECORD_BYTES:
                yield entry
                entry, room = [], most_bytes
            fitting = max(1, (room - verdict_bytes) // RECORD_BYTES)
            entry.append((verdict, left[:fitting]))
            room -= verdict_bytes + RECORD_BYTES * len(left[:fitting])
            left = left[fitting:]
    if entry:
        yield entry


def _quoted_bytes(verdict: Verdict) -> int:
    """Return the bytes that an entry takes for what a verdict quotes of others: the platform's words, an event's ID, a detail."""
    quoted: list[object] = []
    if verdict.related is not None:
        quoted.append(verdict.related.event_id)
    if verdict.detail is not None:
        quoted.append(verdict.detail)
    response = verdict.response
    if response is not None:
        quoted += (response.id, response.message, response.item)
    return len(orjson.dumps(quoted)) if quoted else 0


def settled_records(verdict: Verdict, records: Sequence[Decoded]) -> Settled:
    """Return the journal's form of one verdict for some records."""
    enters = verdict.status not in (Status.DUPLICATE, Status.INVALID)
    return Settled(
        verdict=verdict,
        offsets=tuple([record.offset for record in records]),
        received=tuple([record.received_at for record in records]),
        fingerprints=b"".join([record.fingerprint for record in records if type(record) is Event]) if enters else b"",
    )

"""The result of a record: bytes that are a function of the record and its verdict. Decides no verdict, sends nothing.

What members of a send share is encoded once for all of them; the rest is put between its pieces.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec
import orjson
from xxhash import xxh3_64_intdigest

from consumer.core.event import Decoded, Event, Invalid, Resend
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.terms import Instant, Partition
from schemas.instants import text_of

_NULL: Final = b"null"
_WORDS: Final[Mapping[Status | Reason | None, bytes]] = {
    None: _NULL,
    **{word: b'"%b"' % word.value.encode() for word in (*Status, *Reason)},
}

_RESULT: Final = (
    b'{"resultId":"%b%%014x","eventId":'
    b'\0,"eventType":%b,"campaignId":%b,"status":%b,"reason":%b,"sendId":%b,"attempts":%d,"externalReference":'
    b'\0,"resendId":%b,"resendReason":%b,"possibleDuplicate":%b,"related":%b,"detail":%b,"occurredAt":'
    b'\0,"receivedAt":"%b","dispatchedAt":%b,"completedAt":"%b","source":{"topic":%b,"partition":%d,"offset":'
    b'\0},"response":%b}'
)
"""A result in the contract's order. What neighbours share is put in; each record's own goes where it is cut in pieces:
joined, they cost two thirds of one more formatting."""

_quoted: Final = msgspec.json.Encoder().encode  # not orjson: it asks the system for 1 KiB for each text


def result_value(record: Decoded, verdict: Verdict) -> bytes:
    """The result of one record."""
    match record:
        case Event():
            return results([record], verdict)[0]
        case Invalid():
            return _invalid_result(record, verdict)


def results(members: Sequence[Event], verdict: Verdict) -> list[bytes]:
    """The results of events of one partition with one verdict, in their order."""
    judged = _judged(verdict)
    quoted, join = _quoted, b"".join
    group = event_type = received_at = resend = occurred_at = None
    occurred_json = head = before_reference = before_occurred = before_offset = tail = b""
    values: list[bytes] = []
    for member in members:
        # What neighbours mostly share, and as the same objects: others that are equal cost a form, and change nothing.
        if (
            member.received_at is not received_at
            or member.event_type is not event_type
            or member.group is not group
            or member.resend is not resend
        ):
            group, event_type = member.group, member.event_type
            received_at, resend = member.received_at, member.resend
            form = _form(judged, member.partition, event_type, group.campaign_id, resend, received_at)
            head, before_reference, before_occurred, before_offset, tail = form
        if member.occurred_at is not occurred_at:
            occurred_at = member.occurred_at
            occurred_json = quoted(occurred_at)
        event_id, reference, offset = member.event_id, member.external_reference, member.offset
        id_json = quoted(event_id)
        reference_json = id_json if reference is event_id else quoted(reference)
        values.append(
            join(
                (
                    head % offset, id_json,
                    before_reference, reference_json,
                    before_occurred, occurred_json,
                    before_offset, b"%d" % offset, tail,
                )
            )
        )  # fmt: skip
    return values


def _invalid_result(record: Invalid, verdict: Verdict) -> bytes:
    head, before_reference, before_occurred, before_offset, tail = _form(
        _judged(verdict),
        record.partition,
        record.event_type,
        record.campaign_id,
        record.resend,
        record.received_at,
    )
    own = (record.event_id, record.external_reference, record.occurred_at)
    event_id, reference, occurred_at = map(_quoted, own)
    return b"".join(
        (
            head % record.offset, event_id,
            before_reference, reference,
            before_occurred, occurred_at,
            before_offset, b"%d" % record.offset, tail,
        )
    )  # fmt: skip


def _form(
    judged: tuple[object, ...],
    partition: Partition,
    event_type: str | None,
    campaign_id: int | None,
    resend: Resend,
    received_at: Instant,
) -> list[bytes]:
    """A result's pieces, between which stands what is each record's own: ID, reference, `occurredAt`, offset.

    The first one takes the offset.
    """
    source, topic = _source(partition)
    status, reason, send_id, attempts, possible_duplicate, related, detail, dispatched_at, completed_at, response = (
        judged
    )
    form = _RESULT % (
        source,
        _constant(event_type),
        _constant(campaign_id),
        status,
        reason,
        send_id,
        attempts,
        _constant(resend.id),
        _constant(resend.reason),
        possible_duplicate,
        related,
        detail,
        text_of(received_at).encode(),
        dispatched_at,
        completed_at,
        topic,
        partition.number,
        response,
    )
    return form.split(b"\0")  # JSON has none of its own


@lru_cache(maxsize=1024)
def _source(partition: Partition) -> tuple[bytes, bytes]:
    """The first half of a result's ID, and the topic as JSON.

    32 hex digits name a record: 12 for the topic's hash, 6 for the partition, 14 for the offset (56 bits: a million
    records a second fill a partition in 2,283 years).
    """
    topic_hash = xxh3_64_intdigest(partition.topic.encode()) >> 16  # the first 48 bits
    return b"%012x%06x" % (topic_hash, partition.number), _constant(partition.topic)


def _judged(verdict: Verdict) -> tuple[object, ...]:
    """What the verdict says, as JSON to be put into a form, in the order of `_form`."""
    related = response = None
    if verdict.related is not None:
        related = {
            "eventId": verdict.related.event_id,
            "partition": verdict.related.partition,
            "offset": verdict.related.offset,
        }
    if verdict.response is not None:
        response = {
            "status": verdict.response.status,
            "id": verdict.response.id,
            "message": verdict.response.message,
            "item": verdict.response.item,
        }
    return (
        _WORDS[verdict.status],
        _WORDS[verdict.reason],
        _constant(verdict.send_id),
        verdict.attempts,
        b"true" if verdict.possible_duplicate else b"false",
        _constant(related),
        _constant(verdict.detail),
        _NULL if verdict.dispatched_at is None else b'"%b"' % text_of(verdict.dispatched_at).encode(),
        text_of(verdict.completed_at).encode(),
        _constant(response),
    )


def _constant(value: object) -> bytes:
    return _NULL if value is None else orjson.dumps(value)

"""The result of a record: bytes that are a function of the record and its verdict. Decides no verdict, sends nothing.

What members of a send share is encoded once for all of them; the rest is put into a template.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import orjson
from xxhash import xxh3_64_intdigest

from consumer.core.event import Decoded, Event, Invalid
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.terms import Partition
from schemas.instants import text_of

_NULL: Final = b"null"
_WORDS: Final[Mapping[Status | Reason | None, bytes]] = {
    None: _NULL,
    **{word: b'"%b"' % word.value.encode() for word in (*Status, *Reason)},
}


def result_value(record: Decoded, verdict: Verdict) -> bytes:
    """The result of one record."""
    match record:
        case Event():
            return results([record], verdict)[0]
        case Invalid():
            return _invalid_result(record, verdict)


def results(members: Sequence[Event], verdict: Verdict) -> list[bytes]:
    """The results of events with one verdict, in their order."""
    template = _template(verdict)
    quoted, text = orjson.dumps, text_of
    partition = group = event_type = received_at = None
    source = topic = campaign_id = type_json = received_text = b""
    values: list[bytes] = []
    for member in members:
        # Neighbours mostly share these four, as the same objects.
        if member.partition is not partition:
            partition = member.partition
            source, topic = _source(partition)
        if member.group is not group:
            group = member.group
            campaign_id = b"%d" % group.campaign_id
        if member.event_type is not event_type:
            event_type = member.event_type
            type_json = quoted(event_type)
        if member.received_at != received_at:
            received_at = member.received_at
            received_text = text(received_at).encode()
        event_id, reference, offset = member.event_id, member.external_reference, member.offset
        id_json = quoted(event_id)
        values.append(
            template
            % (
                source,
                offset,
                id_json,
                type_json,
                campaign_id,
                id_json if reference is event_id else quoted(reference),
                _NULL if member.resend_id is None else quoted(member.resend_id),
                _NULL if member.resend_reason is None else quoted(member.resend_reason),
                quoted(member.occurred_at),
                received_text,
                topic,
                member.partition.number,
                offset,
            )
        )
    return values


def _invalid_result(record: Invalid, verdict: Verdict) -> bytes:
    source, topic = _source(record.partition)
    quoted = orjson.dumps
    return _template(verdict) % (
        source,
        record.offset,
        quoted(record.event_id),
        quoted(record.event_type),
        quoted(record.campaign_id),
        quoted(record.external_reference),
        quoted(record.resend_id),
        quoted(record.resend_reason),
        quoted(record.occurred_at),
        text_of(record.received_at).encode(),
        topic,
        record.partition.number,
        record.offset,
    )


@lru_cache(maxsize=1024)
def _source(partition: Partition) -> tuple[bytes, bytes]:
    """The first half of a result's ID, and the topic as JSON.

    32 hex digits name a record: 12 for the topic's hash, 6 for the partition, 14 for the offset (56 bits: a million
    records a second fill a partition in 2,283 years).
    """
    topic_hash = xxh3_64_intdigest(partition.topic.encode()) >> 16  # the first 48 bits
    return b"%012x%06x" % (topic_hash, partition.number), orjson.dumps(partition.topic)


def _template(verdict: Verdict) -> bytes:
    """A result in the contract's order, with places for what differs between the members of one verdict."""
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
        b'{"resultId":"%%b%%014x","eventId":%%b,"eventType":%%b,"campaignId":%%b,'
        b'"status":%b,"reason":%b,"sendId":%b,"attempts":%d,'
        b'"externalReference":%%b,"resendId":%%b,"resendReason":%%b,"possibleDuplicate":%b,"related":%b,'
        b'"occurredAt":%%b,"receivedAt":"%%b","dispatchedAt":%b,"completedAt":"%b",'
        b'"source":{"topic":%%b,"partition":%%d,"offset":%%d},"response":%b}'
    ) % (
        _WORDS[verdict.status],
        _WORDS[verdict.reason],
        _constant(verdict.send_id),
        verdict.attempts,
        b"true" if verdict.possible_duplicate else b"false",
        _constant(related),
        _NULL if verdict.dispatched_at is None else b'"%b"' % text_of(verdict.dispatched_at).encode(),
        text_of(verdict.completed_at).encode(),
        _constant(response),
    )


def _constant(value: object) -> bytes:
    """JSON that stands in the template as it is."""
    return _NULL if value is None else orjson.dumps(value).replace(b"%", b"%%")

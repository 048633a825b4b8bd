"""What is no valid event: the mistake with its reason, and the record with those fields that could be read. Never sends.

A detail names fields and rules, never a value: it travels into results, which an upstream's whole team may read.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import orjson

from consumer.core.event import NO_RESEND, Invalid, Record, UnreadableRecord
from consumer.core.intake.headers import Marks
from consumer.core.outcome import Reason
from consumer.core.terms import Now, Offset, Partition, millisecond_of
from schemas.contact_event import GREATEST_CAMPAIGN_ID
from schemas.envelopes import REGISTRY_MAGIC_BYTE, REGISTRY_PREFIX_BYTES
from schemas.instants import instant_of
from schemas.mistake import SchemaError

EVENT_OVERHEAD_BYTES: Final = 768
"""What an event takes beside its record's bytes: 500 (a struct of 25 fields, its strings, floats and their headers),
and its places in order, deduplication, window and send."""

MAX_REFERENCE_CHARS: Final = 16_384
"""An external reference travels into the result, which must fit into a Kafka record with its key (1 MiB)."""

_MAX_DETAIL_CHARS: Final = 512
_MAX_IDENTIFIER_CHARS: Final = 128


class MistakeError(ValueError):
    """What is wrong with a record, with its reason of the contract; `seen` is what is known of the event all the same."""

    def __init__(self, reason: Reason, detail: str, seen: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.seen = seen


def unframed(value: bytes | None) -> bytes:
    """Return the JSON in a schema registry's wire format, or the value itself; a tombstone is a MistakeError."""
    if value is None:
        raise MistakeError(Reason.TOMBSTONE, "no value")
    return value[REGISTRY_PREFIX_BYTES:] if value[:1] == REGISTRY_MAGIC_BYTE else value


def object_of(payload: bytes, seen: Mapping[str, object] | None = None) -> dict[str, object]:
    """Parse a JSON object; raises MistakeError. `seen` is what is known of the event otherwise."""
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise MistakeError(Reason.NOT_UTF8, f"not UTF-8 at byte {error.start}", seen) from None
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise MistakeError(Reason.NOT_JSON, str(error), seen) from None
    if not isinstance(document, dict):
        raise MistakeError(Reason.NOT_AN_OBJECT, "JSON, but not an object", seen)
    return document


def too_large(reference: str, room_bytes: int) -> MistakeError:
    """Return what is wrong with an event that no request of its campaign, or no result, could carry."""
    if len(reference) > MAX_REFERENCE_CHARS:
        return MistakeError(
            Reason.TOO_LARGE, f"contact.externalReference: longer than {MAX_REFERENCE_CHARS} characters"
        )
    return MistakeError(
        Reason.TOO_LARGE, f"contact and send: more than the {room_bytes} bytes that one request has for them"
    )


def invalid_record(
    partition: Partition,
    record: Record,
    *,
    reason: Reason,
    detail: str,
    seen: Mapping[str, object],
    marks: Marks,
    now: Now,
) -> Invalid:
    """Return an invalid record, with those fields of `seen` that are valid by themselves."""
    contact, key, value = seen.get("contact"), record.key, record.value
    event_id = _identifier(seen.get("eventId"))
    reference = event_id if isinstance(contact, dict) else None
    if isinstance(contact, dict) and contact.get("externalReference"):
        reference = _text(contact["externalReference"], MAX_REFERENCE_CHARS)
    resend = NO_RESEND
    with suppress(SchemaError):
        resend = marks.resend_mark()
    headers = tuple(record.headers)
    return Invalid(
        partition=partition,
        offset=Offset(record.offset),
        key=key,
        reason=reason,
        detail=detail[:_MAX_DETAIL_CHARS],
        value=value,
        headers=headers,
        timestamp_ms=record.timestamp,
        unreadable=type(record) is UnreadableRecord,
        event_id=event_id,
        event_type=_identifier(seen.get("eventType")),
        campaign_id=_campaign_id(seen.get("campaignId")),
        external_reference=reference,
        occurred_at=_instant_text(seen.get("occurredAt")),
        resend=resend,
        size_bytes=sum(map(len, filter(None, (key, value, *(part for header in headers for part in header)))))
        + EVENT_OVERHEAD_BYTES,
        received_at=millisecond_of(now.wall),
    )


def _text(value: object, most_chars: int) -> str | None:
    return value if isinstance(value, str) and 1 <= len(value) <= most_chars else None


def _identifier(value: object) -> str | None:
    return _text(value, _MAX_IDENTIFIER_CHARS)


def _campaign_id(value: object) -> int | None:
    return value if type(value) is int and 1 <= value <= GREATEST_CAMPAIGN_ID else None


def _instant_text(value: object) -> str | None:
    if isinstance(value, str):
        with suppress(ValueError):
            instant_of(value)
            return value
    return None

"""What a record, a result and a dead letter say, read without the service's help. Compares nothing.

Where a record's identity cannot be told with certainty it is None, and nothing is held against anybody.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import orjson
import xxhash
from pydantic import ValidationError

from consumer.audit.entries import AuditedVerdict
from schemas.dead_letter import HEADER_PREFIX
from schemas.send_result import SendResult

Headers = Sequence[tuple[str, bytes | None]]
OTHER_FORMATS: Final = "application/cloudevents"
STRUCTURED: Final = "application/cloudevents+json"
REGISTRY_PREFIX_BYTES: Final = 5  # a zero and the schema's number


class AuditedRecord(Protocol):
    """A record of any topic, as a Kafka client hands it out."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class DeduplicationIds(NamedTuple):
    """What deduplication goes by."""

    event_id: str
    resend_id: str | None


class AuditedEvent(NamedTuple):
    """What an audit looks at in an event. The deadline is milliseconds since 1970, 0 where there is none.

    A resend's own deadline, in its header, goes before the event's.
    """

    identity: DeduplicationIds | None
    expires_ms: int


NOBODY: Final = AuditedEvent(None, 0)


def event_of(record: AuditedRecord) -> AuditedEvent:
    """Read an event: plain JSON, with the registry's prefix, or a CloudEvent."""
    headers = {name.lower(): value for name, value in record.headers if value is not None}
    try:
        document = _document(record.value or b"", headers)
        resend = headers.get("resend-id")
        resend_id = None if resend is None else resend.decode()
        resend_deadline = None if resend is None else headers.get("resend-expires-at")
        expires_at = document.get("expiresAt") if resend_deadline is None else resend_deadline.decode()
    except ValueError:
        return NOBODY
    event_id = document.get("eventId")
    identity = DeduplicationIds(event_id, resend_id) if isinstance(event_id, str) else None
    return AuditedEvent(identity, _milliseconds_or_none(expires_at) or 0)


def _document(value: bytes, headers: Mapping[str, bytes]) -> Mapping[str, Any]:
    payload = value[REGISTRY_PREFIX_BYTES:] if value[:1] == b"\0" else value
    document: Any = orjson.loads(payload)
    media_type = headers.get("content-type", b"").partition(b";")[0].strip().decode(errors="replace").lower()
    attributes: Mapping[str, Any] = {}
    if media_type == STRUCTURED:
        attributes, document = document, document.get("data") if isinstance(document, dict) else None
    elif "ce_specversion" in headers or media_type.startswith(OTHER_FORMATS):
        attributes = {"id": headers["ce_id"].decode()} if "ce_id" in headers else {}
    if not isinstance(document, dict):
        return {}
    given = document.get("eventId")
    return document if given is not None else {**document, "eventId": attributes.get("id")}


class Result(NamedTuple):
    """A result that is as the contract describes one."""

    result_id: str
    topic: str
    partition: int
    offset: int
    identity: DeduplicationIds | None
    received_ms: int
    verdict: AuditedVerdict
    content: Mapping[str, Any]


class NotAResultError(ValueError):
    """A record of the results topic that is no result; the message names fields, never their values."""


_check = SendResult.__pydantic_validator__.validate_python


def result_of(value: bytes | None) -> Result:
    """Read a result.

    Raises:
        NotAResultError: it is not as the contract describes one.
    """
    try:
        content: Mapping[str, Any] = orjson.loads(value or b"")
        _check(content)
    except ValidationError as error:
        fields = sorted({".".join(map(str, mistake["loc"])) for mistake in error.errors()})
        raise NotAResultError(", ".join(fields)) from None
    except ValueError:
        raise NotAResultError("not JSON") from None
    source, dispatched = content["source"], content["dispatchedAt"]
    event_id = content["eventId"]
    return Result(
        content["resultId"],
        source["topic"],
        source["partition"],
        source["offset"],
        None if event_id is None else DeduplicationIds(event_id, content["resendId"]),
        milliseconds(content["receivedAt"]),
        AuditedVerdict(
            content["status"],
            content["reason"],
            content["sendId"],
            content["attempts"],
            content["possibleDuplicate"],
            None if dispatched is None else milliseconds(dispatched),
            milliseconds(content["completedAt"]),
            content["related"],
            content.get("detail"),
            content["response"],
        ),
        content,
    )


def result_id_of(topic: str, partition: int, offset: int) -> str:
    """The ID that the result of this record must have: 12 hex digits for the topic, 6 and 14 for the numbers."""
    return f"{_topic_digits(topic)}{partition:06x}{offset:014x}"


@lru_cache(maxsize=64)
def _topic_digits(topic: str) -> str:
    return xxhash.xxh3_64_hexdigest(topic.encode())[:12]


class AuditedDeadLetter(NamedTuple):
    """Where the record of a dead letter stood, and what it says of it."""

    topic: str
    partition: int
    offset: int
    reason: str
    is_truncated: bool


def dead_letter_of(headers: Headers) -> AuditedDeadLetter | None:
    """Read a dead letter's own headers; None where they are not there."""
    own = {name: value for name, value in headers if name.startswith(HEADER_PREFIX) and value is not None}
    try:
        return AuditedDeadLetter(
            own[HEADER_PREFIX + "topic"].decode(),
            int(own[HEADER_PREFIX + "partition"]),
            int(own[HEADER_PREFIX + "offset"]),
            own[HEADER_PREFIX + "reason"].decode(),
            HEADER_PREFIX + "truncated" in own,
        )
    except (KeyError, ValueError):
        return None


def original(record: AuditedRecord) -> list[bytes | str | None]:
    """Key, value and headers of a record, without the headers that a dead letter has of its own."""
    parts: list[bytes | str | None] = [record.key, record.value]
    for name, value in record.headers:
        if not name.startswith(HEADER_PREFIX):
            parts += [name, value]
    return parts


@lru_cache(maxsize=4096)
def milliseconds(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 instant."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _milliseconds_or_none(text: object) -> int | None:
    try:
        return milliseconds(text) if isinstance(text, str) else None
    except ValueError:
        return None

"""The types of generated records and their kinds. Holds values only."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes]]


def traceparent(trace_id: int) -> tuple[str, bytes]:
    """Return the `traceparent` header (W3C Trace Context) for a trace ID."""
    return "traceparent", b"00-%032x-%016x-01" % (trace_id, trace_id & (1 << 64) - 1)


class RecordKind(StrEnum):
    """The kind of a generated record; an `invalid_*` is named after the reason in its result."""

    ONE_TIME_PASSWORD = "one_time_password"  # noqa: S105 a kind of event, not a password
    SHIPPING_NOTICE = "shipping_notice"
    APPOINTMENT_REMINDER = "appointment_reminder"
    BULK = "bulk"
    REPEATED = "repeated"
    INVALID_NOT_JSON = "invalid_not_json"
    INVALID_NOT_UTF8 = "invalid_not_utf8"
    INVALID_NOT_AN_OBJECT = "invalid_not_an_object"
    INVALID_SCHEMA = "invalid_schema"
    INVALID_TOMBSTONE = "invalid_tombstone"

    @property
    def invalid_reason(self) -> str | None:
        """The reason that the result of an invalid record must have; None for valid events."""
        return self.removeprefix("invalid_") if self.startswith("invalid_") else None


class GeneratedRecord(NamedTuple):
    """A record to publish. `occurred_at` is the instant when it is due, in Unix seconds."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    kind: RecordKind
    occurred_at: float

"""What traffic consists of: one record to be published, and what it stands for. Holds values only."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes]]


def traceparent(trace_id: int) -> tuple[str, bytes]:
    """Return the header that tracing puts on nearly every record (W3C Trace Context), for a trace of this ID."""
    return "traceparent", b"00-%032x-%016x-01" % (trace_id, trace_id & (1 << 64) - 1)


class RecordKind(StrEnum):
    """What a generated record stands for; `invalid_*` are named after the reason their result gives."""

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
        """The reason that the result of an invalid record must give; None for events that are valid."""
        return self.removeprefix("invalid_") if self.startswith("invalid_") else None


class GeneratedRecord(NamedTuple):
    """A record as a producer would hand it to Kafka. `occurred_at` is the instant when it is due, in Unix seconds."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    kind: RecordKind
    occurred_at: float

"""What is known of each record of a range, some 90 bytes a record: columns of numbers. Judges nothing.

A million records must not cost a million objects: what has to be compared later is kept as 64 bits of a hash.
"""

from array import array
from collections.abc import Iterator
from typing import Any, Final, get_args

import orjson

from consumer.audit.entries import AuditedVerdict
from schemas.send_result import ResultReason, ResultStatus

STATUSES: Final[tuple[str | None, ...]] = (None, *get_args(ResultStatus))
REASONS: Final[tuple[str | None, ...]] = (None, *get_args(ResultReason))
_STATUS_NUMBER: Final = {status: number for number, status in enumerate(STATUSES)}
_REASON_NUMBER: Final = {reason: number for number, reason in enumerate(REASONS)}

_64_BITS: Final = 2**64 - 1
NOTHING: Final = 0
"""In a column of hashes: nothing is known."""


def hash_of(*parts: bytes | str | None) -> int:
    """64 bits, never `NOTHING`, that mean something to this process alone."""
    return hash(parts) & _64_BITS or 1


def hash_of_json(value: Any) -> int:
    """64 bits of a JSON value: the order of members and the spelling make no difference."""
    return hash_of(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


class AuditBook:
    """The records from `start` up to but without `stop`; every method takes offsets of that range."""

    def __init__(self, start: int, stop: int) -> None:
        size = max(0, stop - start)
        self.start = start
        self.stop = start + size
        self.exists = bytearray(size)
        self.lacking = bytearray(size)
        """1: the record exists, has no outcome, and nothing excuses that."""
        self.owed = bytearray(size)
        """1: the record exists, has an outcome, and no result was seen."""
        self.dead_letter_owed = bytearray(size)
        """1: the outcome is `invalid`, and no dead letter was seen."""
        self.beyond = bytearray(size)
        """1: the record has no outcome, and the part of the journal that may have had it is gone."""
        self.reopened = bytearray(size)
        """1: an operator had its partition start anew: an outcome from before counts no more, its result stands."""
        self.status = bytearray(size)
        self.reason = bytearray(size)
        self.marked = bytearray(size)
        self.attempts = _numbers("I", size)
        self.send = _numbers("Q", size)
        self.rest = _numbers("Q", size)
        """What else the outcome says that a result repeats: instants, related, response."""
        self.received_ms = _numbers("q", size)
        self.completed_ms = _numbers("q", size)
        self.expires_ms = _numbers("q", size)
        """The deadline that the record itself names; 0 where it names none."""
        self.identity = _numbers("Q", size)
        """Event ID and resend ID, as the record itself says."""
        self.key = _numbers("Q", size)
        self.long_key = bytearray(size)
        """1: the key leaves no room for a result."""
        self.record = _numbers("Q", size)
        """Key, value and headers."""
        self.result = _numbers("Q", size)
        """The content of the first result that was seen."""

    def __contains__(self, offset: int) -> bool:
        return self.start <= offset < self.stop

    def has_record(self, offset: int) -> bool:
        """Whether there is such a record."""
        return bool(self.exists[offset - self.start])

    def has_outcome(self, offset: int) -> bool:
        """Whether an outcome that counts was seen."""
        return bool(self.status[offset - self.start])

    def status_of(self, offset: int) -> str | None:
        """The outcome's status."""
        return STATUSES[self.status[offset - self.start]]

    def reason_of(self, offset: int) -> str | None:
        """The outcome's reason."""
        return REASONS[self.reason[offset - self.start]]

    def settle(self, offset: int, verdict: AuditedVerdict, received_ms: int, shared: int) -> None:
        """Note an outcome; `shared` is `rest_of` its verdict."""
        index = offset - self.start
        self.status[index] = _STATUS_NUMBER[verdict.status]
        self.reason[index] = _REASON_NUMBER[verdict.reason]
        self.marked[index] = verdict.possible_duplicate
        self.attempts[index] = verdict.attempts
        self.send[index] = NOTHING if verdict.send_id is None else hash_of(verdict.send_id)
        self.rest[index] = shared
        self.received_ms[index] = received_ms
        self.completed_ms[index] = verdict.completed_ms
        self.lacking[index] = 0
        if self.exists[index]:
            self.owed[index] = 1
            self.dead_letter_owed[index] = verdict.status == "invalid"

    def reopen(self, offset: int) -> None:
        """Forget an outcome: an operator had the partition start anew."""
        index = offset - self.start
        self.status[index] = self.owed[index] = self.dead_letter_owed[index] = 0
        self.reopened[index] = 1

    def differences(self, offset: int, said: AuditedVerdict, received_ms: int) -> list[str]:
        """Name the fields of a result that are not what the outcome says."""
        index = offset - self.start
        pairs = (
            ("status", STATUSES[self.status[index]], said.status),
            ("reason", REASONS[self.reason[index]], said.reason),
            ("sendId", self.send[index], NOTHING if said.send_id is None else hash_of(said.send_id)),
            ("attempts", self.attempts[index], said.attempts),
            ("possibleDuplicate", bool(self.marked[index]), said.possible_duplicate),
            ("receivedAt", self.received_ms[index], received_ms),
            ("completedAt", self.completed_ms[index], said.completed_ms),
            ("dispatchedAt, related, detail or response", self.rest[index], rest_of(said)),
        )
        return [name for name, expected, found in pairs if expected != found]

    def each(self, column: bytearray, start: int, stop: int) -> Iterator[int]:
        """Yield the offsets between these whose byte in the column is 1."""
        first, end = max(0, start - self.start), max(0, min(stop, self.stop) - self.start)
        index = column.find(1, first, end)
        while index >= 0:
            yield self.start + index
            index = column.find(1, index + 1, end)


def rest_of(verdict: AuditedVerdict) -> int:
    """A hash of what a verdict says besides the columns of its own."""
    return hash_of_json([verdict.dispatched_ms, verdict.related, verdict.detail, verdict.response])


def _numbers(kind: str, size: int) -> "array[int]":
    return array(kind, bytes(size * array(kind).itemsize))

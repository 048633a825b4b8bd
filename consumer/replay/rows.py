"""The records of a plan while it is run: one row each, and what is to become of it. Some 20 bytes a row; reads no topic.

What was published of a resend is known by key, value and the original's headers: brokers know nothing of rows.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from consumer.replay.coding import PlannedPartition, PlannedRecord, record_fingerprint

RESEND_ID: Final = "resend-id"
RESEND_REASON: Final = "resend-reason"
RESEND_OPERATOR: Final = "resend-operator"
RESEND_EXPIRES_AT: Final = "resend-expires-at"

Headers = Sequence[tuple[str, bytes | None]]


class RowState:
    """What is to become of a row, or did."""

    TO_PUBLISH = 0
    LEFT_OUT = 1
    PUBLISHED = 2
    """This run has committed it."""
    STANDS = 3
    """It was read in the topic, whoever published it."""


class Rows:
    """The rows of one partition, in the order of their offsets."""

    def __init__(self, planned: PlannedPartition) -> None:
        self.planned = planned
        self.fingerprints = array("Q", bytes(8 * planned.count))
        """Of what is repeated, as it stands in the topic."""
        self.events = array("Q", bytes(8 * planned.count))
        """Hashes of event IDs, 0 where nobody can tell."""
        self.states = bytearray(planned.count)
        self._cursor = 0

    def records(self) -> Iterator[PlannedRecord]:
        """Yield what the plan says of each row."""
        return self.planned.records()

    def stands(self, fingerprint: int) -> bool:
        """Note that a record stands in the topic that repeats one of these; return whether there is such a row.

        They mostly come in the order of the rows. Each run keeps it, but a later one may publish what an earlier one
        has left out.
        """
        row = self._unseen(fingerprint, self._cursor)
        if row is None:
            row = self._unseen(fingerprint, 0)
        if row is None:
            return False
        self.states[row] = RowState.STANDS
        self._cursor = row + 1
        return True

    def _unseen(self, fingerprint: int, start: int) -> int | None:
        try:
            row = self.fingerprints.index(fingerprint, start)
            while self.states[row] == RowState.STANDS:
                row = self.fingerprints.index(fingerprint, row + 1)
        except ValueError:
            return None
        return row

    def leave_out(self, events: frozenset[int]) -> None:
        """Leave out the rows of these events, but for those that are published."""
        if not events:
            return
        for row, event in enumerate(self.events):
            if event in events and self.states[row] == RowState.TO_PUBLISH:
                self.states[row] = RowState.LEFT_OUT

    def count_of(self, events: frozenset[int]) -> int:
        """Return how many rows that are still to be published are of these events."""
        return sum(
            event in events and state == RowState.TO_PUBLISH
            for event, state in zip(self.events, self.states, strict=True)
        )

    def count(self, *states: int) -> int:
        """Return how many rows are in one of these states."""
        return sum(map(self.states.count, states))


def original_headers(headers: Headers) -> Headers:
    """Return the headers of a resent record that its original has: those before the mark of the resend."""
    for place in range(len(headers) - 1, -1, -1):
        if headers[place][0] == RESEND_ID:
            return headers[:place]
    return headers


def resend_of(headers: Headers) -> bytes | None:
    """Return the ID of the resend that a record belongs to; of several marks the last counts."""
    for name, value in reversed(headers):
        if name == RESEND_ID:
            return value
    return None


def repeated_fingerprint(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return the fingerprint of the original that a resent record repeats."""
    return record_fingerprint(key, value, original_headers(headers))

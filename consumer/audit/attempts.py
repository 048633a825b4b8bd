"""Open attempts by record, from the journal's entries alone. Judges no outcome, knows no range."""

from collections.abc import Iterable, Iterator, Sequence

from consumer.audit.entries import Attempt

NAMELESS = "told by record"
"""Stands for the send of an attempt that only a checkpoint tells of, without its name."""


class AuditedAttempts:
    """Which attempts of records without an outcome are open, and how many surely failed."""

    def __init__(self) -> None:
        self._of_record: dict[int, list[Attempt]] = {}
        self._members: dict[Attempt, set[int]] = {}
        self._failed: dict[int, int] = {}

    def open(self, attempt: Attempt, offsets: Iterable[int]) -> None:
        """These records may be out."""
        members = self._members.setdefault(attempt, set())
        for offset in offsets:
            if offset not in members:
                members.add(offset)
                self._of_record.setdefault(offset, []).append(attempt)

    def close(self, attempt: Attempt, *, started: bool) -> None:
        """Nothing of this attempt was delivered."""
        for offset in self._members.pop(attempt, ()):
            left = self._of_record[offset]
            left.remove(attempt)
            if not left:
                del self._of_record[offset]
            if started:
                self._failed[offset] = self._failed.get(offset, 0) + 1

    def settle(self, offset: int) -> tuple[Sequence[Attempt], int]:
        """Forget a record that has its outcome; return its open attempts, and how many surely failed."""
        attempts = self._of_record.pop(offset, [])
        for attempt in attempts:
            members = self._members[attempt]
            members.discard(offset)
            if not members:
                del self._members[attempt]
        return attempts, self._failed.pop(offset, 0)

    def adopt(self, offset: int, failed: int) -> None:
        """Believe that so many attempts surely failed: their entries are gone."""
        self._failed[offset] = failed

    def adopt_open(self, offset: int, count: int) -> None:
        """Believe that so many more are open, whatever their names were."""
        for number in range(1, count + 1):
            self.open((NAMELESS, number), (offset,))

    def of(self, offset: int) -> Sequence[Attempt]:
        """The open attempts of one record."""
        return self._of_record.get(offset, ())

    def __iter__(self) -> Iterator[tuple[Attempt, int]]:
        for offset, attempts in self._of_record.items():
            for attempt in attempts:
                yield attempt, offset

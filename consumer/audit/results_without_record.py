"""What stands in the results topic and should not stand there: another partition's results, and no results at all."""

from collections.abc import Iterable
from typing import NamedTuple

from consumer.audit.findings import KEPT, Findings, ViolationKind
from consumer.audit.reading import AuditedRecord, Result

Place = tuple[str, int]
"""A topic and a partition of it."""


class _Found(NamedTuple):
    kind: ViolationKind
    place: Place
    offset: int
    detail: str


class ResultsWithoutRecord:
    """Collects them while the results topic is read, each of its partitions once, whoever's records it is read for."""

    def __init__(self, *, topic: str, count: int, events: dict[str, int]) -> None:
        """Prepare. The results topic has `count` partitions; `events` counts those of each events topic."""
        self._topic = topic
        self._count = count
        self._events = events
        self._found: list[_Found] = []
        self._read: set[int] = set()

    def begin(self, standing: int) -> bool:
        """Say that a partition is going to be read; return whether that is the first time."""
        is_first = standing not in self._read
        self._read.add(standing)
        return is_first

    @property
    def unread(self) -> list[int]:
        """Partitions of the results topic that nobody's results belong to."""
        return [number for number in range(self._count) if number not in self._read]

    def unreadable(self, standing: int, record: AuditedRecord, why: str) -> None:
        """Take note of what is no result."""
        self._note(_Found(ViolationKind.NOT_A_RESULT, (self._topic, standing), record.offset, why))

    def look_at(self, standing: int, record: AuditedRecord, result: Result) -> None:
        """Take note of a result that belongs elsewhere, or to no partition at all."""
        partitions = self._events.get(result.topic)
        if partitions is None:
            return  # another service's, on a shared topic
        where, place = f"{self._topic}:{standing}:{record.offset}", (result.topic, result.partition)
        if not 0 <= result.partition < partitions:
            self._note(_Found(ViolationKind.RESULT_WITHOUT_RECORD, place, result.offset, where))
        elif result.partition % self._count != standing:
            self._note(_Found(ViolationKind.WRONG_PARTITION, place, result.offset, where))

    def report(self, found: Iterable[Findings]) -> None:
        """Enter everything into the findings of the partition that it concerns, as far as its range was asked about."""
        by_place = {(findings.topic, findings.partition): findings for findings in found}
        nowhere = next(iter(by_place.values()), None)
        for kind, place, offset, detail in self._found:
            concerned = by_place.get(place)
            if concerned is not None and kind is ViolationKind.WRONG_PARTITION and not concerned.covers(offset):
                continue
            if concerned is None and kind is ViolationKind.WRONG_PARTITION:
                continue
            entered = concerned or nowhere
            if entered is not None:
                entered.violated(kind, offset, detail, topic=place[0], partition=place[1])

    def _note(self, found: _Found) -> None:
        if len(self._found) < KEPT:
            self._found.append(found)

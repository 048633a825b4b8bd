"""One partition of the events, from its logs to its findings: what is owed, and by whom. Reads no topic.

The logs are given in this order: events, journal, results, dead letters. Then `finish`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consumer.audit.book import STATUSES, AuditBook, hash_of
from consumer.audit.dead_letters import DeadLettersJudge
from consumer.audit.findings import Findings, ViolationKind
from consumer.audit.holds import AuditedHolds
from consumer.audit.journal import JournalJudge
from consumer.audit.reading import AuditedRecord, Result, event_of, original
from consumer.audit.results import LONGEST_KEY_BYTES, ResultsJudge


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A log's first offset and its end."""

    start: int
    end: int

    @property
    def is_whole(self) -> bool:
        """Whether retention has removed nothing yet."""
        return self.start == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be judged: where everything stands, and which records are asked about."""

    topic: str
    partition: int
    group: str
    journal: str
    committed: int | None
    start: int
    stop: int
    """The range of records."""
    events_log: Bounds
    journal_log: Bounds
    results_log: Bounds
    dead_letters_log: Bounds


class PartitionJudge:
    """Judges one partition."""

    def __init__(self, case: Case, holds: AuditedHolds) -> None:
        self._case = case
        self.findings = Findings(
            topic=case.topic,
            partition=case.partition,
            start=case.start,
            stop=case.stop,
            log_end=case.events_log.end,
            committed=case.committed,
        )
        self.book = AuditBook(case.start, case.stop)
        self._journal = JournalJudge(
            self.book,
            self.findings,
            journal=case.journal,
            group=case.group,
            is_whole=case.journal_log.is_whole,
            log_end=case.events_log.end,
            holds=holds,
        )
        self._results = ResultsJudge(
            self.book, self.findings, log_start=case.events_log.start, log_end=case.events_log.end
        )
        self._dead_letters = DeadLettersJudge(self.book, self.findings)

    def events(self, records: Iterable[AuditedRecord]) -> None:
        """Take records of the range into the book."""
        book = self.book
        for record in records:
            index = record.offset - book.start
            event = event_of(record)
            book.exists[index] = book.lacking[index] = 1
            book.record[index] = hash_of(*original(record))
            book.key[index] = hash_of(record.key)
            book.long_key[index] = len(record.key or b"") > LONGEST_KEY_BYTES
            book.expires_ms[index] = event.expires_ms
            if event.identity is not None:
                book.identity[index] = hash_of(*event.identity)

    def journal(self, entries: Iterable[AuditedRecord]) -> None:
        """Take entries of the journal."""
        for entry in entries:
            self._journal.take(entry.offset, entry.value, entry.timestamp)

    def journal_ended(self) -> None:
        """The journal has been read."""
        self._journal.finish()

    def result(self, result: Result, record: AuditedRecord) -> None:
        """Take a result of this partition's, and the record of the results topic that holds it."""
        self._results.take(result, record)

    def dead_letters(self, records: Iterable[AuditedRecord]) -> None:
        """Take what stands in the dead-letter partition."""
        for record in records:
            self._dead_letters.take(record)

    def finish(self, *, oldest_result_ms: int | None, oldest_dead_letter_ms: int | None, is_complete: bool) -> None:
        """Say what is owed; with `is_complete` everything is, also what is not committed yet.

        Results and dead letters older than the oldest ones that are still there may have been removed by retention.
        """
        case, book, findings = self._case, self.book, self.findings
        settled_to = max(case.committed or 0, self._journal.watermark)
        for offset in book.each(book.lacking, book.start, settled_to):
            findings.violated(ViolationKind.NO_OUTCOME, offset)
        self._owed(book.owed, ViolationKind.NO_RESULT, settled_to, oldest_result_ms, case.results_log)
        self._owed(
            book.dead_letter_owed,
            ViolationKind.NO_DEAD_LETTER,
            settled_to,
            oldest_dead_letter_ms,
            case.dead_letters_log,
        )
        pending = {*book.each(book.lacking, settled_to, book.stop), *book.each(book.owed, settled_to, book.stop)}
        findings.pending = len(pending)
        if is_complete:
            for offset in sorted(pending):
                findings.violated(ViolationKind.UNFINISHED, offset)
        self._count()

    def _owed(self, column: bytearray, kind: ViolationKind, settled_to: int, first_ms: int | None, log: Bounds) -> None:
        """Say what is missing in a topic, unless its retention may have removed it."""
        for offset in self.book.each(column, self.book.start, settled_to):
            completed_ms = self.book.completed_ms[offset - self.book.start]
            if not log.is_whole and (first_ms is None or completed_ms <= first_ms):
                self.findings.unprovable += 1
            else:
                self.findings.violated(kind, offset)

    def _count(self) -> None:
        book, findings = self.book, self.findings
        findings.records = book.exists.count(1)
        findings.unprovable += book.beyond.count(1)
        for number, status in enumerate(STATUSES):
            count = book.status.count(number)
            if status is not None and count:
                findings.by_status[status] = count
        findings.outcomes = findings.by_status.total()
        in_doubt = STATUSES.index("in_doubt")
        for index, (status_number, marked) in enumerate(zip(book.status, book.marked, strict=True)):
            if marked or status_number == in_doubt:
                status = STATUSES[status_number]
                if status is not None:
                    findings.not_known(book.start + index, status, possible_duplicate=bool(marked))
        findings.unknown.sort(key=lambda unknown: unknown.offset)

"""Holds dead letters to the invalid records that they must preserve. Reads no topic."""

from consumer.audit.book import AuditBook, hash_of
from consumer.audit.findings import Findings, ViolationKind
from consumer.audit.reading import AuditedRecord, dead_letter_of, original


class DeadLettersJudge:
    """Takes what stands in the dead-letter topic; the journal has been read by then."""

    def __init__(self, book: AuditBook, findings: Findings) -> None:
        self._book = book
        self._findings = findings

    def take(self, record: AuditedRecord) -> None:
        """Judge one dead letter; what others have put there is no business of ours."""
        dead_letter = dead_letter_of(record.headers)
        findings, book = self._findings, self._book
        if dead_letter is None or (dead_letter.topic, dead_letter.partition) != (findings.topic, findings.partition):
            return
        offset = dead_letter.offset
        if offset not in book or not book.has_record(offset):
            return
        index = offset - book.start
        findings.dead_letters += book.dead_letter_owed[index]
        book.dead_letter_owed[index] = 0
        if book.reopened[index] or book.beyond[index]:
            return
        if book.status_of(offset) != "invalid":
            findings.violated(ViolationKind.NEEDLESS_DEAD_LETTER, offset)
        elif dead_letter.reason != book.reason_of(offset):
            findings.violated(ViolationKind.ALTERED_DEAD_LETTER, offset, "dlq-reason")
        elif not dead_letter.is_truncated and hash_of(*original(record)) != book.record[index]:
            findings.violated(ViolationKind.ALTERED_DEAD_LETTER, offset, "key, value or headers")

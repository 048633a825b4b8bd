"""Holds dead letters to the invalid records that they must preserve. Reads no topic."""

from consumer.audit.book import Book, hash_of
from consumer.audit.findings import Findings, Kind
from consumer.audit.reading import Record, letter_of, original


class LettersJudge:
    """Takes what stands in the dead-letter topic; the journal has been read by then."""

    def __init__(self, book: Book, findings: Findings) -> None:
        self._book = book
        self._findings = findings

    def take(self, record: Record) -> None:
        """Judge one dead letter; what others have put there is no business of ours."""
        letter = letter_of(record.headers)
        findings, book = self._findings, self._book
        if letter is None or (letter.topic, letter.partition) != (findings.topic, findings.partition):
            return
        offset = letter.offset
        if offset not in book or not book.has_record(offset):
            return
        index = offset - book.start
        findings.dead_letters += book.letter_owed[index]
        book.letter_owed[index] = 0
        if book.reopened[index] or book.beyond[index]:
            return
        if book.status_of(offset) != "invalid":
            findings.violated(Kind.NEEDLESS_DEAD_LETTER, offset)
        elif letter.reason != book.reason_of(offset):
            findings.violated(Kind.ALTERED_DEAD_LETTER, offset, "dlq-reason")
        elif not letter.is_truncated and hash_of(*original(record)) != book.record[index]:
            findings.violated(Kind.ALTERED_DEAD_LETTER, offset, "key, value or headers")

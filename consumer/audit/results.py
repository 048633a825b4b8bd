"""Holds a record's results to its outcome and to the record. Reads no topic."""

from consumer.audit.book import NOTHING, AuditBook, hash_of, hash_of_json
from consumer.audit.findings import Findings, ViolationKind
from consumer.audit.reading import AuditedRecord, Result, result_id_of

LONGEST_KEY_BYTES = 900_000
"""A result leaves out a longer key: a batch would not take both."""


class ResultsJudge:
    """Takes the results of one partition's records; the journal has been read by then."""

    def __init__(
        self,
        book: AuditBook,
        findings: Findings,
        *,
        log_start: int,
        log_end: int,
    ) -> None:
        self._book = book
        self._findings = findings
        self._log_start = log_start
        self._log_end = log_end

    def take(self, result: Result, record: AuditedRecord) -> None:
        """Judge a result, and the record of the results topic that holds it."""
        if self._belongs(result):
            self._judge(result, record)

    def _belongs(self, result: Result) -> bool:
        """Whether its record is one to be judged."""
        offset = result.offset
        if offset < self._log_start:
            self._findings.removed += 1
            return False
        if offset in self._book:
            if self._book.has_record(offset):
                return True
        elif offset < self._log_end:
            return False
        self._findings.violated(ViolationKind.RESULT_WITHOUT_RECORD, offset)
        return False

    def _judge(self, result: Result, record: AuditedRecord) -> None:
        book, offset = self._book, result.offset
        index = offset - book.start
        content = hash_of_json(result.content)
        if book.result[index] != NOTHING:
            self._findings.republished += 1
            if book.result[index] != content and not book.reopened[index]:
                self._findings.violated(ViolationKind.TWO_CONTENTS, offset)
            return
        book.result[index] = content
        book.owed[index] = 0
        self._findings.results += 1
        self._compare(result, record)
        if book.reopened[index]:
            return
        if not book.has_outcome(offset):
            if not book.beyond[index]:
                self._findings.violated(ViolationKind.RESULT_WITHOUT_OUTCOME, offset)
            return
        differing = book.differences(offset, result.verdict, result.received_ms)
        if differing:
            self._findings.violated(ViolationKind.CONTRADICTS_OUTCOME, offset, ", ".join(differing))

    def _compare(self, result: Result, record: AuditedRecord) -> None:
        """Hold a result to its record."""
        book, offset, verdict = self._book, result.offset, result.verdict
        index = offset - book.start
        if result.result_id != result_id_of(self._findings.topic, result.partition, offset):
            self._findings.violated(ViolationKind.WRONG_RESULT_ID, offset)
        key = hash_of(record.key)
        if key != book.key[index] and not (record.key is None and book.long_key[index]):
            self._findings.violated(ViolationKind.NOT_OF_THIS_RECORD, offset, "key")
        if result.identity is not None:
            identity = hash_of(*result.identity)
            if book.identity[index] == NOTHING:
                book.identity[index] = identity
            elif book.identity[index] != identity and verdict.status != "invalid":
                self._findings.violated(ViolationKind.NOT_OF_THIS_RECORD, offset, "eventId or resendId")
        if verdict.status == "duplicate":
            self._judge_duplicate(result)
        if verdict.dispatched_ms is not None and 0 < book.expires_ms[index] < verdict.dispatched_ms:
            self._findings.violated(ViolationKind.AFTER_DEADLINE, offset)

    def _judge_duplicate(self, result: Result) -> None:
        """A duplicate must name another record of its partition, with the same ID and an outcome of its own."""
        book, related = self._book, result.verdict.related
        why = None
        if related is None or related["partition"] != result.partition:
            why = "related names no record of its partition"
        elif related["offset"] in book and book.has_record(related["offset"]):
            first = related["offset"]
            if book.identity[first - book.start] not in {NOTHING, book.identity[result.offset - book.start]}:
                why = f"the event at offset {first} has another ID"
            elif book.status_of(first) in {"duplicate", "invalid"}:
                why = f"the event at offset {first} is {book.status_of(first)} itself"
        if why is not None:
            self._findings.violated(ViolationKind.DUPLICATE_OF_NOTHING, result.offset, why)

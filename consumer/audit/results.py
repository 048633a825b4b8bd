"""Holds a record's results to its outcome and to the record. Reads no topic."""

from consumer.audit.book import NOTHING, AuditBook, hash_of, hash_of_json
from consumer.audit.findings import Findings, ViolationKind
from consumer.audit.reading import AuditedRecord, Result, result_id_of
from consumer.audit.repeated_events import CLOCKS_MS

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
        elif verdict.status == "superseded":
            self._judge_superseded(result)
        if verdict.dispatched_ms is not None and 0 < book.expires_ms[index] < verdict.dispatched_ms:
            self._findings.violated(ViolationKind.AFTER_DEADLINE, offset)

    def _judge_duplicate(self, result: Result) -> None:
        """A duplicate must name another record of its partition, with the same ID and an outcome of its own."""
        book, why = self._book, self._names_nothing(result)
        first = self._related_in_book(result)
        if why is None and first is not None:
            if book.identity[first - book.start] not in {NOTHING, book.identity[result.offset - book.start]}:
                why = f"the event at offset {first} has another ID"
            elif book.status_of(first) in {"duplicate", "invalid"}:
                why = f"the event at offset {first} is {book.status_of(first)} itself"
        if why is not None:
            self._findings.violated(ViolationKind.DUPLICATE_OF_NOTHING, result.offset, why)

    def _judge_superseded(self, result: Result) -> None:
        """Who takes its place must stand on the side that the reason says, and have had no outcome before it.

        Whether both are for one person is not to be seen here.
        """
        related, reason, why = result.verdict.related, result.verdict.reason, self._names_nothing(result)
        if why is None and related is not None:
            stays = related["offset"]
            side = "newer" if stays > result.offset else "older"
            if reason != f"{side}_event":
                why = f"the event at offset {stays} is {side}, and the reason is {reason}"
            elif self._related_in_book(result) is not None:
                why = self._has_no_place_to_take(result, stays)
        if why is not None:
            self._findings.violated(ViolationKind.SUPERSEDED_BY_NOTHING, result.offset, why)

    def _has_no_place_to_take(self, result: Result, stays: int) -> str | None:
        """Return why the record that stays cannot have taken another one's place; None where it can."""
        book, verdict = self._book, result.verdict
        if book.status_of(stays) == "invalid":
            return f"the record at offset {stays} is invalid"
        settled_ms = book.completed_ms[stays - book.start]
        if book.status_of(stays) == "superseded" and book.reason_of(stays) != verdict.reason:
            gave_way_before = settled_ms <= verdict.completed_ms  # one of two that gave way to each other
        else:
            gave_way_before = book.has_outcome(stays) and settled_ms + CLOCKS_MS < verdict.completed_ms
        return f"the event at offset {stays} had its outcome before" if gave_way_before else None

    def _names_nothing(self, result: Result) -> str | None:
        """Return why a result's `related` is no record of its partition; None where it is one, or may have been."""
        related = result.verdict.related
        if related is None or related["partition"] != result.partition:
            return "related names no record of its partition"
        offset = related["offset"]
        if offset >= self._log_end or (offset in self._book and not self._book.has_record(offset)):
            return f"there is no record at offset {offset}"
        return None

    def _related_in_book(self, result: Result) -> int | None:
        """Return the offset of the record that a result names; None where it is none of those that are judged."""
        related = result.verdict.related
        if related is None or related["offset"] not in self._book or not self._book.has_record(related["offset"]):
            return None
        offset: int = related["offset"]
        return offset

"""Holds a partition's journal to its own rules: outcomes, attempts, checkpoints. Reads no topic."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from consumer.audit.attempts import AuditedAttempts
from consumer.audit.book import AuditBook, rest_of
from consumer.audit.entries import (
    Attempt,
    AuditedAccepted,
    AuditedCheckpoint,
    AuditedClaim,
    AuditedIntent,
    AuditedOutcome,
    AuditedReturned,
    AuditedSegment,
    AuditedSettled,
    AuditedSkipped,
    AuditedVerdict,
    NotAnEntryError,
    UnknownEntry,
    read_entry,
)
from consumer.audit.findings import DecidedRange, Findings, ViolationKind
from consumer.audit.holds import AuditedHolds, HeldRequests

ANSWERED = frozenset({"contact_refused", "campaign_refused"})
"""Reasons of a `rejected` that the platform gave: a request must have carried the record."""


_Speaking = (
    AuditedIntent
    | AuditedReturned
    | AuditedOutcome
    | AuditedCheckpoint
    | AuditedSegment
    | AuditedSkipped
    | AuditedAccepted
    | UnknownEntry
)
"""What says something of records."""


@dataclass(slots=True)
class _Suspect:
    """An outcome that forgot attempts which were open when it was written: they may yet turn out to be returned."""

    kind: ViolationKind
    forgotten: set[Attempt]


class JournalJudge:
    """Takes a journal partition's entries in their order; all records of the book are known by then.

    Of a journal that has lost its beginning, the first checkpoint is believed, as nothing else is known of what
    stood before it. No other checkpoint is.
    """

    def __init__(
        self,
        book: AuditBook,
        findings: Findings,
        *,
        journal: str,
        group: str,
        is_whole: bool,
        log_end: int,
        holds: AuditedHolds,
    ) -> None:
        self._book = book
        self._findings = findings
        self._journal = journal
        self._group = group
        self._log_end = log_end
        self._attempts = AuditedAttempts()
        self._held = HeldRequests(holds, findings)
        self._suspects: dict[int, _Suspect] = {}
        self._nowhere: set[int] = set()
        """What the journal speaks of and the log does not have: another topic's records, if it was recreated."""
        self._blind = not is_whole
        """Whether what stands here may rest on entries that are gone."""
        self._first: int | None = None
        """Where the journal begins."""
        self._segments: set[int] = set()
        """Where segments stand."""
        self._checked_to = book.start
        self.watermark = 0
        """Of the last checkpoint: below it everything is said to be settled, and its results acknowledged."""

    def take(self, offset: int, value: bytes | None, timestamp_ms: int) -> None:
        """Judge the entry at `offset` of the journal; Kafka has it since `timestamp_ms`."""
        self._first = offset if self._first is None else self._first
        try:
            entry = read_entry(offset, value)
        except NotAnEntryError as error:
            self._violated_here(ViolationKind.NOT_AN_ENTRY, offset, str(error))
            return
        if entry is None:
            self._findings.void_entries += 1
            return
        if isinstance(entry, AuditedClaim | AuditedCheckpoint | AuditedAccepted) and entry.group != self._group:
            self._violated_here(ViolationKind.FOREIGN_GROUP, offset, f"group {entry.group!r}")
        if not isinstance(entry, AuditedClaim):
            self._apply(entry, offset, timestamp_ms)

    def _apply(self, entry: _Speaking, offset: int, timestamp_ms: int) -> None:
        match entry:
            case AuditedIntent():
                self._held.intended(entry.attempt, entry.campaign, entry.offsets, timestamp_ms)
                self._attempts.open(entry.attempt, self._sendable(entry.offsets))
            case AuditedReturned():
                self._returned(entry)
            case AuditedOutcome():
                self._settle(entry.settled)
            case AuditedCheckpoint():
                self._compare(entry, offset)
            case AuditedSegment():
                self._remembers(entry, offset)
            case AuditedSkipped():
                self._excuse(entry.start, entry.stop, "skipped")
            case AuditedAccepted():
                self._start_anew(entry)
            case UnknownEntry():
                self._violated_here(ViolationKind.NOT_AN_ENTRY, offset, f"unknown kind {entry.kind!r}")

    def finish(self) -> None:
        """Say what was never resolved."""
        for offset, suspect in self._suspects.items():
            self._findings.violated(suspect.kind, offset, _words(suspect.forgotten))
        for offset in sorted(self._nowhere):
            self._findings.violated(ViolationKind.OUTCOME_WITHOUT_RECORD, offset)
        if self._blind:
            self._believe(self._log_end, ())

    # ---------------------------------------------------------------- records

    def _concerns(self, offset: int) -> bool:
        """Whether a record that the journal speaks of is one to be judged; one that never was is a violation."""
        if offset in self._book:
            if self._book.has_record(offset):
                return True
        elif offset < self._log_end:
            return False
        self._nowhere.add(offset)
        return False

    def _sendable(self, offsets: Iterable[int]) -> list[int]:
        wanted = [offset for offset in offsets if self._concerns(offset)]
        done = [offset for offset in wanted if self._book.has_outcome(offset)]
        for offset in done:
            self._findings.violated(ViolationKind.SENT_AFTER_OUTCOME, offset)
        return [offset for offset in wanted if not self._book.has_outcome(offset)] if done else wanted

    def _returned(self, returned: AuditedReturned) -> None:
        self._attempts.close(returned.attempt, started=returned.started)
        self._held.returned(returned.attempt, started=returned.started)
        for offset, suspect in list(self._suspects.items()):
            suspect.forgotten.discard(returned.attempt)
            if not suspect.forgotten:
                del self._suspects[offset]

    def _settle(self, items: Iterable[AuditedSettled]) -> None:
        for verdict, offsets, received in items:
            shared = rest_of(verdict)
            if verdict.status == "accepted" or verdict.reason in ANSWERED:
                self._held.answered(verdict.send_id)
            for offset, received_ms in zip(offsets, received, strict=True):
                if not self._concerns(offset):
                    continue
                if self._book.has_outcome(offset):
                    self._findings.violated(ViolationKind.TWO_OUTCOMES, offset)
                    continue
                attempts, failed = self._attempts.settle(offset)
                self._judge(offset, verdict, attempts, failed)
                self._book.settle(offset, verdict, received_ms, shared)

    def _judge(self, offset: int, verdict: AuditedVerdict, attempts: Iterable[Attempt], failed: int) -> None:
        """Hold an outcome to the attempts that are open when it is written."""
        left = set(attempts)
        if verdict.status == "in_doubt":
            if not left:
                self._unless_blind(ViolationKind.NEEDLESS_DOUBT, offset)
            return
        is_answered = verdict.status == "accepted" or verdict.reason in ANSWERED
        if (is_answered or not left) and verdict.attempts != failed + len(left):
            self._unless_blind(ViolationKind.MISCOUNTED, offset, f"{verdict.attempts} instead of {failed + len(left)}")
        if is_answered:
            deciding = max((attempt for attempt in left if attempt[0] == verdict.send_id), default=None)
            if deciding is None:
                self._unless_blind(ViolationKind.NO_INTENT, offset, f"send {verdict.send_id}")
                return
            left.discard(deciding)
        if verdict.possible_duplicate and not left:
            self._unless_blind(ViolationKind.NEEDLESS_DOUBT, offset)
        if left and not verdict.possible_duplicate:
            kind = ViolationKind.UNMARKED_REPEAT if verdict.status == "accepted" else ViolationKind.DOUBT_FORGOTTEN
            self._suspects[offset] = _Suspect(kind, left)

    # ---------------------------------------------------------------- checkpoints

    def _compare(self, checkpoint: AuditedCheckpoint, at: int) -> None:
        """Hold a checkpoint to the entries before it."""
        if self._blind:
            self._blind = False
            self._believe(checkpoint.watermark, checkpoint.settled)
            self._adopt_attempts(checkpoint)
        self._named(checkpoint.segments, at)
        if checkpoint.watermark < self.watermark:
            self._contradicts(at, self.watermark, f"its watermark {checkpoint.watermark} is below an earlier one")
        self.watermark = max(self.watermark, checkpoint.watermark)
        for start, stop in ((self._checked_to, checkpoint.watermark), *checkpoint.settled):
            for offset in self._book.each(self._book.lacking, start, stop):
                self._contradicts(at, offset, "it says that this record is settled")
        self._checked_to = max(self._checked_to, checkpoint.watermark)
        self._compare_attempts(checkpoint, at)

    def _adopt_attempts(self, checkpoint: AuditedCheckpoint) -> None:
        """Take the first checkpoint's word; what is left of the entries before it may tell of the same attempts."""
        named: Counter[int] = Counter()
        for attempt, offsets in checkpoint.open_attempts:
            unsettled = self._unsettled(offsets)
            self._attempts.open(attempt, unsettled)
            named.update(unsettled)
        for count, offsets in checkpoint.doubted:
            for offset in self._unsettled(offsets):
                self._attempts.adopt_open(offset, named[offset] + count - len(self._attempts.of(offset)))
        for failed, offsets in checkpoint.tried:
            for offset in self._unsettled(offsets):
                self._attempts.adopt(offset, failed)

    def _compare_attempts(self, checkpoint: AuditedCheckpoint, at: int) -> None:
        said = {(one, offset) for one, offsets in checkpoint.open_attempts for offset in self._unsettled(offsets)}
        known = {(one, offset) for one, offset in self._attempts if self._book.lacking[offset - self._book.start]}
        for (send, number), offset in sorted(said - known):
            self._contradicts(at, offset, f"it says that attempt {number} of send {send} is open")
        unnamed: dict[int, list[Attempt]] = {}
        for attempt, offset in known - said:
            unnamed.setdefault(offset, []).append(attempt)
        counted: Counter[int] = Counter()
        for count, offsets in checkpoint.doubted:
            counted.update(dict.fromkeys(self._unsettled(offsets), count))
        for offset in sorted(unnamed.keys() | counted.keys()):
            attempts, count = unnamed.get(offset, []), counted[offset]
            if count != len(attempts):
                why = f"it counts {count} open attempts that it does not name, instead of {len(attempts)}"
                self._contradicts(at, offset, f"{why} ({_words(attempts)})" if attempts else why)

    def _remembers(self, segment: AuditedSegment, at: int) -> None:
        """Hold a segment to the entries before it: only what is settled may be recognised later."""
        self._segments.add(at)
        for offset in self._unsettled(segment.offsets):
            self._unless_blind(
                ViolationKind.FALSE_CHECKPOINT, offset, f"{self._journal} offset {at}: a segment remembers it"
            )

    def _named(self, segments: Iterable[int], at: int) -> None:
        """Hold a checkpoint to the segments that it names, as far back as the journal goes."""
        for stands in segments:
            if stands not in self._segments and stands >= (self._first or 0):
                self._violated_here(ViolationKind.FALSE_CHECKPOINT, at, f"no segment stands at {stands}")

    def _unsettled(self, offsets: Iterable[int]) -> list[int]:
        book = self._book
        return [offset for offset in offsets if offset in book and book.lacking[offset - book.start]]

    def _believe(self, watermark: int, settled: Iterable[tuple[int, int]]) -> None:
        """Take the first checkpoint's word for what the lost beginning of the journal said."""
        book = self._book
        for start, stop in ((book.start, watermark), *settled):
            for offset in book.each(book.lacking, start, stop):
                book.lacking[offset - book.start] = 0
                book.beyond[offset - book.start] = 1

    def _contradicts(self, at: int, offset: int, why: str) -> None:
        self._findings.violated(ViolationKind.FALSE_CHECKPOINT, offset, f"{self._journal} offset {at}: {why}")

    # ---------------------------------------------------------------- decisions of people

    def _excuse(self, start: int, stop: int, why: str) -> None:
        self._findings.spans.append(DecidedRange(start=start, stop=stop, why=why))
        book = self._book
        for offset in book.each(book.lacking, start, stop):
            book.lacking[offset - book.start] = 0
            if self._attempts.settle(offset)[0]:
                self._findings.not_known(offset, "skipped", possible_duplicate=False)

    def _start_anew(self, accepted: AuditedAccepted) -> None:
        """Nothing that stands before says anything any more, and what lies below the new start gets no outcome."""
        book = self._book
        self._excuse(book.start, accepted.start, "below_accepted_start")
        self._findings.spans.append(DecidedRange(start=accepted.start, stop=accepted.end, why="accepted"))
        for offset in range(max(book.start, accepted.start), book.stop):
            if book.has_outcome(offset):
                book.reopen(offset)
        self._attempts = AuditedAttempts()
        self._suspects.clear()
        self._nowhere = {offset for offset in self._nowhere if offset < accepted.start}
        self._blind = False
        self._checked_to = max(book.start, accepted.start)
        self.watermark = accepted.start

    def _unless_blind(self, kind: ViolationKind, offset: int, detail: str = "") -> None:
        """Note a violation that rests on what is not in the journal."""
        if not self._blind:
            self._findings.violated(kind, offset, detail)

    def _violated_here(self, kind: ViolationKind, offset: int, detail: str) -> None:
        self._findings.violated(kind, offset, detail, topic=self._journal)


def _words(attempts: Iterable[Attempt]) -> str:
    return ", ".join(f"attempt {number} of send {send}" for send, number in sorted(attempts))

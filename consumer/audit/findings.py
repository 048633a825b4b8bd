"""What an audit finds: violations with their coordinates, ranges that were skipped, unknown outcomes. Judges nothing."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final

KEPT: Final = 1_000
"""Violations, and unknown outcomes, of one partition that are kept one by one; all are counted."""


@unique
class ViolationKind(StrEnum):
    """What can be wrong. The names are for scripts, `SAYS` for people."""

    NO_OUTCOME = "no_outcome"
    TWO_OUTCOMES = "two_outcomes"
    OUTCOME_WITHOUT_RECORD = "outcome_without_record"
    NO_RESULT = "no_result"
    RESULT_WITHOUT_OUTCOME = "result_without_outcome"
    RESULT_WITHOUT_RECORD = "result_without_record"
    TWO_CONTENTS = "two_contents"
    CONTRADICTS_OUTCOME = "contradicts_outcome"
    NOT_OF_THIS_RECORD = "not_of_this_record"
    WRONG_RESULT_ID = "wrong_result_id"
    WRONG_PARTITION = "wrong_partition"
    NOT_A_RESULT = "not_a_result"
    UNMARKED_REPEAT = "unmarked_repeat"
    DOUBT_FORGOTTEN = "doubt_forgotten"
    NEEDLESS_DOUBT = "needless_doubt"
    SENT_AFTER_OUTCOME = "sent_after_outcome"
    NO_INTENT = "no_intent"
    MISCOUNTED = "miscounted"
    SAME_EVENT_TWICE = "same_event_twice"
    DUPLICATE_OF_NOTHING = "duplicate_of_nothing"
    SUPERSEDED_BY_NOTHING = "superseded_by_nothing"
    AFTER_DEADLINE = "after_deadline"
    STARTED_WHILE_HELD = "started_while_held"
    NO_DEAD_LETTER = "no_dead_letter"
    ALTERED_DEAD_LETTER = "altered_dead_letter"
    NEEDLESS_DEAD_LETTER = "needless_dead_letter"
    FALSE_CHECKPOINT = "false_checkpoint"
    FOREIGN_GROUP = "foreign_group"
    NOT_AN_ENTRY = "not_an_entry"
    UNFINISHED = "unfinished"


SAYS: Final = {
    ViolationKind.NO_OUTCOME: "committed, but without an outcome in the journal",
    ViolationKind.TWO_OUTCOMES: "more than one outcome that counts",
    ViolationKind.OUTCOME_WITHOUT_RECORD: "the journal speaks of a record that does not exist",
    ViolationKind.NO_RESULT: "committed, but without a result",
    ViolationKind.RESULT_WITHOUT_OUTCOME: "a result without an outcome in the journal",
    ViolationKind.RESULT_WITHOUT_RECORD: "a result without a record",
    ViolationKind.TWO_CONTENTS: "results of one record with different contents",
    ViolationKind.CONTRADICTS_OUTCOME: "the result says something else than the journal",
    ViolationKind.NOT_OF_THIS_RECORD: "the result bears the key or the event ID of another record",
    ViolationKind.WRONG_RESULT_ID: "the result's ID is not that of its record",
    ViolationKind.WRONG_PARTITION: "the result stands in another partition than its record's number says",
    ViolationKind.NOT_A_RESULT: "no result as the contract describes one",
    ViolationKind.UNMARKED_REPEAT: "sent again after an attempt of unknown fate, without a mark",
    ViolationKind.DOUBT_FORGOTTEN: "settled as not sent, although an attempt has an unknown fate",
    ViolationKind.NEEDLESS_DOUBT: "marked or in doubt, although no attempt has an unknown fate",
    ViolationKind.SENT_AFTER_OUTCOME: "an intent after the outcome",
    ViolationKind.NO_INTENT: "answered by the platform, but no intent that counts carries it",
    ViolationKind.MISCOUNTED: "the outcome counts other attempts than the journal",
    ViolationKind.SAME_EVENT_TWICE: "one event ID was sent twice, without a mark",
    ViolationKind.DUPLICATE_OF_NOTHING: "a duplicate of no event with this ID and an outcome",
    ViolationKind.SUPERSEDED_BY_NOTHING: "superseded by no event that can have taken its place",
    ViolationKind.AFTER_DEADLINE: "the deciding request started at or after the event's deadline",
    ViolationKind.STARTED_WHILE_HELD: "a request started more than 2 s after its campaign was held",
    ViolationKind.NO_DEAD_LETTER: "invalid and committed, but without a dead letter",
    ViolationKind.ALTERED_DEAD_LETTER: "the dead letter is not what the record was",
    ViolationKind.NEEDLESS_DEAD_LETTER: "a dead letter of a record that is not invalid",
    ViolationKind.FALSE_CHECKPOINT: "a checkpoint contradicts the entries before it",
    ViolationKind.FOREIGN_GROUP: "another consumer group writes this journal",
    ViolationKind.NOT_AN_ENTRY: "no entry as the service writes them",
    ViolationKind.UNFINISHED: "neither committed nor settled yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken promise, and where: the coordinates of the record, or of what stands in another topic."""

    kind: ViolationKind
    topic: str
    partition: int
    offset: int
    detail: str

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}: {SAYS[self.kind]}" + (self.detail and f" ({self.detail})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A record of which nobody can say how often it was texted.

    Its result says so, too, unless `status` is `skipped`: it was out when the group was moved over it, and has none.
    """

    offset: int
    status: str
    possible_duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRange:
    """A range of records that somebody decided about, `stop` exclusive. `why` is a word for scripts."""

    start: int
    stop: int
    why: str


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found in one partition, and how much was looked at."""

    topic: str
    partition: int
    start: int
    stop: int
    log_end: int
    committed: int | None
    records: int = 0
    outcomes: int = 0
    results: int = 0
    """Distinct ones: records that have any."""
    republished: int = 0
    dead_letters: int = 0
    pending: int = 0
    """Records that are not settled yet, beyond what is committed."""
    unprovable: int = 0
    """Records of which retention has removed the journal, or the result."""
    removed: int = 0
    """Outcomes and results whose records retention has removed."""
    void_entries: int = 0
    accepted_again: int = 0
    """Events that were sent again later than deduplication promises to remember."""
    by_status: Counter[str] = field(default_factory=Counter)
    spans: list[DecidedRange] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    unknown_by_status: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    by_kind: Counter[ViolationKind] = field(default_factory=Counter)

    def covers(self, offset: int) -> bool:
        """Whether a record stands in the range that was asked about, or would, if it existed."""
        return self.start <= offset and not self.stop <= offset < self.log_end

    def violated(
        self,
        kind: ViolationKind,
        offset: int,
        detail: str = "",
        *,
        topic: str | None = None,
        partition: int | None = None,
    ) -> None:
        """Note a violation; of another topic than the events' where one is named."""
        self.by_kind[kind] += 1
        if len(self.violations) < KEPT:
            self.violations.append(
                Violation(
                    kind=kind,
                    topic=topic or self.topic,
                    partition=self.partition if partition is None else partition,
                    offset=offset,
                    detail=detail,
                )
            )

    def not_known(self, offset: int, status: str, *, possible_duplicate: bool) -> None:
        """Note that nobody knows how often this record was texted."""
        self.unknown_by_status[status] += 1
        if len(self.unknown) < KEPT:
            self.unknown.append(Unknown(offset=offset, status=status, possible_duplicate=possible_duplicate))

    @property
    def proven(self) -> bool:
        """Whether nothing was found against the promises."""
        return not self.by_kind

"""Checks that the totals of a run agree. Reads no topic; all counts are arguments.

It knows the service only from outside: which records were published, which results were read, which contacts the platform
has texted. It checks:

    records          = distinct results                    every record has one result, and no result has no record
    contacts texted  = accepted results + repeats          plus, for results in doubt, those that were texted

A repeat must be marked `possibleDuplicate`. A result can explain no more texts than it had attempts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class RecordPlace(NamedTuple):
    """A record's partition and offset in the events topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenResult:
    """One result as it was read; instants are Unix seconds. Results with equal fingerprints have equal JSON content."""

    result_id: str
    place: RecordPlace
    status: str
    reason: str | None
    external_reference: str | None
    attempts: int
    possible_duplicate: bool
    occurred_at: float | None
    completed_at: float
    fingerprint: bytes


class FaultKind(StrEnum):
    """What can be wrong, as the summary prints it."""

    NO_RESULT = "record without a result"
    NO_RECORD = "result without a record"
    TWO_RESULTS = "record with two different results"
    CHANGED_RESULT = "result published again with another content"
    LOST_TEXT = "accepted, but never texted"
    UNMARKED_REPEAT = "texted again without a mark"
    UNEXPECTED_TEXT = "texted, but the result does not say so"
    MISJUDGED = "invalid record that was not reported as such"


class Fault(NamedTuple):
    """One violation and where it is: `partition:offset` of the record, or the external reference of the text."""

    kind: FaultKind
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The counts, and every violation."""

    records: int
    results: int
    results_published_again: int
    by_status: Mapping[str, int]
    accepted: int
    texted: int
    repeats: int
    marked: int
    """Accepted results that say that their contact may have been texted twice."""
    in_doubt_texted: int
    faults: Sequence[Fault]

    @property
    def holds(self) -> bool:
        """Whether everything adds up."""
        return not self.faults


def settle_accounts(
    *,
    produced: Mapping[RecordPlace, str | None],
    results: Iterable[SeenResult],
    texts: Mapping[str, int],
) -> Account:
    """Compare published records, results and texts.

    `produced` has every published record; for an invalid one, with the reason that its result must give. `texts` has the
    number of texts that the platform sent, by external reference.
    """
    first_of, again, faults = _distinct(results)
    distinct = list(first_of.values())
    faults += _records_against_results(produced, distinct)
    texted = _texts_against_results(distinct, texts)
    by_status = Counter(result.status for result in distinct)
    return Account(
        records=len(produced),
        results=len(distinct),
        results_published_again=again,
        by_status=dict(by_status.most_common()),
        accepted=by_status["accepted"],
        texted=sum(texts.values()),
        repeats=texted.repeats,
        marked=sum(1 for result in distinct if result.status == "accepted" and result.possible_duplicate),
        in_doubt_texted=texted.in_doubt,
        faults=[*faults, *texted.faults],
    )


def _distinct(results: Iterable[SeenResult]) -> tuple[dict[str, SeenResult], int, list[Fault]]:
    first_of: dict[str, SeenResult] = {}
    again = 0
    faults: list[Fault] = []
    for result in results:
        first = first_of.setdefault(result.result_id, result)
        if first is not result:
            again += 1
            if first.fingerprint != result.fingerprint:
                faults.append(Fault(FaultKind.CHANGED_RESULT, str(result.place)))
    return first_of, again, faults


def _records_against_results(produced: Mapping[RecordPlace, str | None], results: Sequence[SeenResult]) -> list[Fault]:
    results_at = Counter(result.place for result in results)
    faults = [Fault(FaultKind.NO_RESULT, str(place)) for place in produced if place not in results_at]
    faults += [Fault(FaultKind.NO_RECORD, str(place)) for place in results_at if place not in produced]
    faults += [Fault(FaultKind.TWO_RESULTS, str(place)) for place, count in results_at.items() if count > 1]
    for result in results:
        invalid_reason = produced.get(result.place)
        reported = result.reason if result.status == "invalid" else None
        if result.place in produced and invalid_reason != reported:
            faults.append(Fault(FaultKind.MISJUDGED, str(result.place)))
    return faults


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texted:
    """What explains the texts beyond the first of each accepted result."""

    repeats: int
    in_doubt: int
    faults: Sequence[Fault]


def _texts_against_results(results: Sequence[SeenResult], texts: Mapping[str, int]) -> _Texted:
    by_reference: defaultdict[str, list[SeenResult]] = defaultdict(list)
    for result in results:
        if result.external_reference is not None:
            by_reference[result.external_reference].append(result)
    repeats = in_doubt = 0
    faults: list[Fault] = []
    for reference in by_reference.keys() | texts.keys():
        of_reference = by_reference.get(reference, ())
        accepted = [result for result in of_reference if result.status == "accepted"]
        surplus = texts.get(reference, 0) - len(accepted)
        if surplus < 0:
            faults += [Fault(FaultKind.LOST_TEXT, reference)] * -surplus
            continue
        # the deciding attempt of an accepted result is one text; each other attempt may have been one more
        may_repeat = sum(result.attempts - 1 for result in accepted if result.possible_duplicate)
        may_doubt = sum(result.attempts for result in of_reference if result.status == "in_doubt")
        repeated = min(surplus, may_repeat)
        doubted = min(surplus - repeated, may_doubt)
        repeats += repeated
        in_doubt += doubted
        kind = FaultKind.UNMARKED_REPEAT if accepted else FaultKind.UNEXPECTED_TEXT
        faults += [Fault(kind, reference)] * (surplus - repeated - doubted)
    return _Texted(repeats=repeats, in_doubt=in_doubt, faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long events waited, in seconds. None where there were none."""

    count: int
    median_seconds: float | None
    p99_seconds: float | None


def acceptance_delay(results: Iterable[SeenResult], places: frozenset[RecordPlace]) -> Delay:
    """Return the delays from event to acceptance, for the accepted results of the records at `places`."""
    first_of = {result.result_id: result for result in results}
    delays = sorted(
        result.completed_at - result.occurred_at
        for result in first_of.values()
        if result.status == "accepted" and result.occurred_at is not None and result.place in places
    )
    return Delay(count=len(delays), median_seconds=_percentile(delays, 50), p99_seconds=_percentile(delays, 99))


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return a percentile by nearest rank: a value that occurred. Source: ISO 16269-4 and common practice."""
    if not ordered:
        return None
    return ordered[-(-len(ordered) * percent // 100) - 1]

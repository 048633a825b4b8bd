"""What was read of events, results and journals, joined record by record as it comes. Reads no topic, decides nothing yet.

Events come first, then what stands behind the range (only resends of these events matter there), then results and
outcomes. An event is known by its ID, wherever it was published; what becomes of one of its records speaks of all.
"""

from array import array
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from consumer.core.event import Decoded, Event, Invalid
from consumer.core.event import Record as FetchedRecord
from consumer.core.people import person_in
from consumer.core.terms import Instant
from consumer.replay.book import NO_OUTCOME, NO_ROW, NUMBER_OF, Flag, PlanBook, merged
from consumer.replay.coding import record_digest
from consumer.replay.criteria import Criteria, hash_of
from consumer.replay.event_ids import EventSieve
from consumer.replay.outcomes import outcome_of

URGENT_SECONDS: Final = 900.0
"""A deadline that is so near may pass while somebody thinks about the plan."""


class Elsewhere(NamedTuple):
    """Outcomes of records that have no row and may be of an event that has one, in the order in which they were read."""

    events: "array[int]"
    statuses: bytearray
    resends: "array[int]"
    """Places in the book's `resends`, plus one; 0 where the record was no resend."""


class PlanDraft:
    """Takes what was read, batch by batch."""

    def __init__(self, criteria: Criteria, *, now: Instant, extend_expiry_seconds: float | None) -> None:
        self.book = PlanBook()
        self.elsewhere = Elsewhere(array("Q"), bytearray(), array("I"))
        self.unreadable_results = 0
        self.excluded_as = set[int]()
        """What exclusions may have named the excluded events by, as hashes."""
        self._criteria = criteria
        self._now = now
        self._extended_until = None if extend_expiry_seconds is None else now + extend_expiry_seconds
        self._sieve = EventSieve(0)
        self.before = dict[int, int]()
        """What became, before the range, of events of which the range holds resends alone: statuses by event."""

    # ---------------------------------------------------------------- events

    def begin(self, topic: str, partition: int) -> None:
        """Say that the events that follow are of this partition."""
        self.book.begin(topic, partition)

    def events(
        self,
        records: Sequence[FetchedRecord],
        decoded: Sequence[Decoded],
        *,
        only: Container[int] | None = None,
        skipped: bool = False,
    ) -> None:
        """Take records of the range: those that meet the criteria get a row. `only` names offsets, where it is given."""
        criteria, select_all, exclude_none = self._criteria, self._criteria.select_all, self._criteria.exclude_none
        marks = Flag.SELECTED | Flag.SKIPPED if skipped else Flag.SELECTED
        for record, event in zip(records, decoded, strict=True):
            if only is not None and record.offset not in only:
                continue
            event_hash = 0 if event.event_id is None else hash_of(event.event_id)
            if not select_all and not criteria.select(event, event_hash):
                continue
            flags = marks
            if not exclude_none and criteria.exclude(event, event_hash):
                flags |= Flag.EXCLUDED
                self.excluded_as.update(criteria.names_of(event, event_hash))
            self._add(record, event, event_hash, flags)

    def behind(self, records: Sequence[FetchedRecord], decoded: Sequence[Decoded]) -> None:
        """Take records that stand behind the range: resends of events that may have a row get one."""
        for record, event in zip(records, decoded, strict=True):
            if isinstance(event, Invalid) or event.resend.id is None:
                continue
            event_hash = hash_of(event.event_id)
            if self._sieve.may_hold(event_hash):
                self._add(record, event, event_hash, 0)

    def _add(self, record: FetchedRecord, event: Decoded, event_hash: int, flags: int) -> None:
        book = self.book
        row = len(book)
        if event.resend.id is not None:
            flags |= Flag.RESEND
            book.resend_rows.append(row)
            book.resend_names.append(book.resend_place(event.resend.id))
        person = 0
        if isinstance(event, Event):
            campaign_id: int | None = event.group.campaign_id
            person = hash_of(person_in(event.person))
            if event.expires_at is not None:
                flags |= self._deadline(event.expires_at)
        else:
            campaign_id = event.campaign_id
            flags |= Flag.INVALID
        book.offset.append(record.offset)
        book.digest.append(record_digest(record))
        book.event.append(event_hash)
        book.person.append(person)
        book.campaign.append(book.campaign_place(campaign_id))
        book.status.append(NO_OUTCOME)
        book.flags.append(flags)
        book.spans[-1].end = row + 1

    def _deadline(self, expires_at: Instant) -> int:
        if self._extended_until is not None and expires_at <= self._extended_until:
            return Flag.EXTENDED
        if expires_at <= self._now:
            return Flag.EXPIRED
        return Flag.URGENT if expires_at <= self._now + URGENT_SECONDS else 0

    # ---------------------------------------------------------------- which events have a row

    def events_are_known(self) -> None:
        """Say that all records of the range have been taken."""
        self._sieve = EventSieve(len(self.book))
        for event_hash in self.book.event:
            self._sieve.add(event_hash)

    # ---------------------------------------------------------------- what became of them

    def results(self, values: Sequence[bytes | None]) -> None:
        """Take results, in the order of their topic."""
        book, row_of, number_of = self.book, self.book.row_of, NUMBER_OF
        for value in values:
            result = outcome_of(value)
            number = None if result is None else number_of.get(result.status)
            if result is None or number is None:
                self.unreadable_results += 1
                continue
            source = result.source
            row = row_of(source.topic, source.partition, source.offset)
            event = None if result.event_id is None else hash_of(result.event_id)
            if row != NO_ROW and event in {None, book.event[row]}:
                earlier = book.status[row]
                book.status[row] = merged(earlier, number) if earlier else number
            elif event is not None:  # also where the topic was made anew, and another event stood at the row's offset
                self._outcome_elsewhere(event, number, result.resend_id)

    def _outcome_elsewhere(self, event_hash: int, number: int, resend_id: str | None) -> None:
        if self._sieve.may_hold(event_hash):
            self.elsewhere.events.append(event_hash)
            self.elsewhere.statuses.append(number)
            self.elsewhere.resends.append(0 if resend_id is None else 1 + self.book.resend_place(resend_id))

    def orphans(self) -> set[int]:
        """Return the events, as hashes, of which the range holds resends and no original."""
        book = self.book
        orphans = {book.event[row] for row in book.resend_rows if book.flags[row] & Flag.SELECTED}
        if orphans:
            for event_hash, flags in zip(book.event, book.flags, strict=True):
                if not flags & Flag.RESEND and event_hash in orphans:
                    orphans.discard(event_hash)
        return orphans

    def results_before(self, values: Sequence[bytes | None], orphans: Container[int]) -> None:
        """Take results from before the range: of these events alone."""
        for value in values:
            result = outcome_of(value)
            if result is None or result.event_id is None:
                continue
            event_hash, number = hash_of(result.event_id), NUMBER_OF.get(result.status, NO_OUTCOME)
            if event_hash in orphans:
                self.before[event_hash] = merged(self.before.get(event_hash, NO_OUTCOME), number)

    def outcomes(self, topic: str, partition: int, offsets: Iterable[int], status: str) -> None:
        """Take what a journal tells of some records, in its order."""
        book, number = self.book, NUMBER_OF[status]
        for offset in offsets:
            row = book.row_of(topic, partition, offset)
            if row != NO_ROW:
                book.status[row] = merged(book.status[row], number)

    # ---------------------------------------------------------------- what is still lacking

    def has_rows(self, topic: str, partition: int) -> bool:
        """Whether any record of a partition has a row."""
        return any(span.end > span.start for span in self.book.spans_of(topic, partition))

    def lacking(self, topic: str, partition: int) -> int | None:
        """Return the first offset of a partition whose record has no outcome so far; None where each has one."""
        row = next(self._lacking(topic, partition), None)
        return None if row is None else self.book.offset[row]

    def lacking_below(self, topic: str, partition: int, stop: int) -> int:
        """Return how many records below an offset, which are not known to be passed over, have no outcome."""
        flags, offsets = self.book.flags, self.book.offset
        rows = self._lacking(topic, partition)
        return sum(1 for row in rows if offsets[row] < stop and not flags[row] & Flag.SKIPPED)

    def doubt(self, topic: str, partition: int, *, below: int) -> int:
        """Take records without an outcome for unsettled, although they were passed over: nobody can know.

        Return how many there are below an offset.
        """
        doubtful = 0
        for row in self._lacking(topic, partition):
            self.book.flags[row] &= ~Flag.SKIPPED
            doubtful += self.book.offset[row] < below
        return doubtful

    def _lacking(self, topic: str, partition: int) -> Iterator[int]:
        status = self.book.status
        for span in self.book.spans_of(topic, partition):
            row = status.find(NO_OUTCOME, span.start, span.end)
            while row >= 0:
                yield row
                row = status.find(NO_OUTCOME, row + 1, span.end)

"""What a plan does with each record: left out, and why, or sent again. Goes event by event, reads no topic.

An event is all the records with its ID. One of them stands for it: the first one that was selected, which is the original
where the selection holds it and its resends. What became of any of them became of the event.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from consumer.replay.book import ACCEPTED, DUPLICATE, IN_DOUBT, NO_OUTCOME, NUMBER_OF, Flag, PlanBook, merged
from consumer.replay.criteria import Criteria
from consumer.replay.draft import Elsewhere

INVALID: Final = NUMBER_OF["invalid"]


class RecordFate:
    """Places of `FATES`."""

    NOT_SELECTED = 0
    ALREADY_ACCEPTED = 1
    IN_DOUBT = 2
    UNSETTLED = 3
    EXPIRED = 4
    REPEATED = 5
    INVALID = 6
    EXCLUDED = 7
    WOULD_SEND = 8


FATES: Final = (
    *("not_selected", "already_accepted", "in_doubt", "unsettled"),
    *("expired", "repeated", "invalid", "excluded", "would_send"),
)


class _KnownEvent(msgspec.Struct, gc=False):
    """An event, as far as its records have been looked at. `row` stands for it."""

    row: int
    status: int
    pending: bool
    """Whether one of its records has no outcome yet."""
    excluded: bool


class Judge:
    """Decides for each record, slice by slice; `fates` has a place for every row."""

    def __init__(self, book: PlanBook, criteria: Criteria, elsewhere: Elsewhere, before: Mapping[int, int]) -> None:
        self.fates = bytearray(len(book))
        self.after: set[str] = set()
        """Earlier resends of the events that would be sent."""
        self._book = book
        self._elsewhere = elsewhere
        self._before = before
        self._wanted = frozenset(NUMBER_OF[status] for status in criteria.statuses)
        if criteria.invalid:
            self._wanted |= {INVALID}

    def slice(self, rows: Sequence[int], others: Sequence[int]) -> None:
        """Decide for these rows, which are all of their events; `others` are places in `elsewhere`, of the same events."""
        events = self._known(rows)
        self._look_elsewhere(events, others)
        for event in events.values():
            self.fates[event.row] = self._fate(event)
            self._book.status[event.row] = event.status
        self._repeat(rows, events)
        for place in others:
            known = events.get(self._elsewhere.events[place])
            resend = self._elsewhere.resends[place]
            if resend and known is not None and self.fates[known.row] == RecordFate.WOULD_SEND:
                self.after.add(self._book.resends[resend - 1])

    def _known(self, rows: Sequence[int]) -> dict[int, _KnownEvent]:
        book, events = self._book, dict[int, _KnownEvent]()
        for row in rows:
            flags, status = book.flags[row], book.status[row]
            if flags & Flag.INVALID:
                self.fates[row] = RecordFate.INVALID if flags & Flag.SELECTED else RecordFate.NOT_SELECTED
                continue
            pending = status == NO_OUTCOME and not flags & Flag.SKIPPED
            known = events.get(book.event[row])
            if known is None:
                status = merged(self._before.get(book.event[row], NO_OUTCOME), status)
                events[book.event[row]] = _KnownEvent(row, status, pending, bool(flags & Flag.EXCLUDED))
                continue
            known.status = merged(known.status, status)
            known.pending |= pending
            known.excluded |= bool(flags & Flag.EXCLUDED)
            if flags & Flag.SELECTED and not book.flags[known.row] & Flag.SELECTED:
                known.row = row
        return events

    def _look_elsewhere(self, events: dict[int, _KnownEvent], others: Sequence[int]) -> None:
        for place in others:
            known = events.get(self._elsewhere.events[place])
            if known is not None:
                known.status = merged(known.status, self._elsewhere.statuses[place])

    def _repeat(self, rows: Sequence[int], events: dict[int, _KnownEvent]) -> None:
        """Decide for the records that another one stands for, and note which resends there were."""
        book, fates = self._book, self.fates
        for row in rows:
            flags = book.flags[row]
            if flags & Flag.INVALID:
                continue
            first = events[book.event[row]].row
            if row != first and flags & Flag.SELECTED and fates[first] != RecordFate.NOT_SELECTED:
                fates[row] = RecordFate.REPEATED
            if flags & Flag.RESEND and fates[first] == RecordFate.WOULD_SEND:
                self.after.add(book.resend_of(row))

    def _fate(self, event: _KnownEvent) -> int:
        flags, status = self._book.flags[event.row], event.status
        if not flags & Flag.SELECTED:
            return RecordFate.NOT_SELECTED
        if status == INVALID and status not in self._wanted:
            return RecordFate.INVALID
        if status == DUPLICATE and not event.pending:
            return RecordFate.REPEATED
        fate = self._of_outcome(status, event.pending)
        if fate != RecordFate.NOT_SELECTED and event.excluded:
            return RecordFate.EXCLUDED
        return RecordFate.EXPIRED if fate == RecordFate.WOULD_SEND and flags & Flag.EXPIRED else fate

    def _of_outcome(self, status: int, pending: bool) -> int:  # noqa: FBT001 - a member of what is judged
        if status == ACCEPTED and status not in self._wanted:
            return RecordFate.ALREADY_ACCEPTED
        if pending:
            return RecordFate.UNSETTLED
        if status == IN_DOUBT and status not in self._wanted:
            return RecordFate.IN_DOUBT
        if status in self._wanted or status == NO_OUTCOME:  # passed over by a forward move, where it is not pending
            return RecordFate.WOULD_SEND
        return RecordFate.NOT_SELECTED

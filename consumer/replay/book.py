"""What is known of each record that a plan looks at, some 30 bytes a record: columns of numbers. Judges nothing.

Ten million records must not cost ten million objects. A row is a record; the rows of one partition follow one another.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from schemas.send_result import ResultStatus

STATUSES: Final[tuple[str, ...]] = ("", *get_args(ResultStatus))
"""By number, as the column `status` has them; 0: no outcome is known."""
NUMBER_OF: Final = {status: number for number, status in enumerate(STATUSES)}
NO_OUTCOME: Final = 0
ACCEPTED: Final = NUMBER_OF["accepted"]
IN_DOUBT: Final = NUMBER_OF["in_doubt"]
DUPLICATE: Final = NUMBER_OF["duplicate"]
NO_ROW: Final = -1


def merged(earlier: int, later: int) -> int:
    """Return what became of an event by two outcomes: of two of its records, or of one that was considered anew.

    Accepted wins over doubt, and doubt over all others: whoever may have been texted is not texted again by mistake.
    A duplicate says nothing of its own.
    """
    for status in (ACCEPTED, IN_DOUBT):
        if status in {earlier, later}:
            return status
    if later in {NO_OUTCOME, DUPLICATE}:
        return earlier or later
    return later


class Flag:
    """Bits of the column `flags`."""

    SELECTED = 1
    """Meets the criteria; else it is there as a resend of another one."""
    RESEND = 2
    INVALID = 4
    EXCLUDED = 8
    EXPIRED = 16
    EXTENDED = 32
    """Gets a new deadline, where it is sent again."""
    SKIPPED = 64
    """A forward move of the group has passed it over."""
    URGENT = 128
    """Its deadline is near."""


@dataclass(slots=True)
class Span:
    """Rows of one partition that were read one after the other, `end` exclusive."""

    topic: str
    partition: int
    start: int
    end: int
    cursor: int = 0


class PlanBook:
    """Columns, a place in each for every row."""

    def __init__(self) -> None:
        self.offset = array("Q")
        self.digest = array("I")
        self.event = array("Q")
        """`hash_of` the event ID."""
        self.person = array("Q")
        """`hash_of` the person, without the campaign."""
        self.campaign = array("I")
        """A place in `campaigns`."""
        self.status = bytearray()
        self.flags = bytearray()
        self.spans: list[Span] = []
        self.campaigns: list[int | None] = []
        self.resends: list[str] = []
        """The IDs of earlier resends."""
        self.resend_rows = array("Q")
        """Rows that are resends, rising; beside them, in `resend_names`, places in `resends`."""
        self.resend_names = array("I")
        self._campaign_places: dict[int | None, int] = {}
        self._resend_places: dict[str, int] = {}
        self._of_partition: dict[tuple[str, int], list[Span]] = {}

    def __len__(self) -> int:
        return len(self.offset)

    def begin(self, topic: str, partition: int) -> Span:
        """Say that the rows that follow are of this partition, until the next one begins."""
        span = Span(topic, partition, len(self), len(self), len(self))
        self.spans.append(span)
        self._of_partition.setdefault((topic, partition), []).append(span)
        return span

    def spans_of(self, topic: str, partition: int) -> Sequence[Span]:
        """Return the rows of a partition."""
        return self._of_partition.get((topic, partition), ())

    def campaign_place(self, campaign_id: int | None) -> int:
        """Return a campaign's place in `campaigns`."""
        place = self._campaign_places.get(campaign_id)
        if place is None:
            place = self._campaign_places[campaign_id] = len(self.campaigns)
            self.campaigns.append(campaign_id)
        return place

    def resend_place(self, resend_id: str) -> int:
        """Return a resend's place in `resends`."""
        place = self._resend_places.get(resend_id)
        if place is None:
            place = self._resend_places[resend_id] = len(self.resends)
            self.resends.append(resend_id)
        return place

    def resend_of(self, row: int) -> str:
        """Return the ID of the resend that a row is."""
        return self.resends[self.resend_names[bisect_left(self.resend_rows, row)]]

    def row_of(self, topic: str, partition: int, offset: int) -> int:
        """Return the row of a record; `NO_ROW` where it has none. Quick for those who ask in order."""
        for span in self.spans_of(topic, partition):
            row, offsets = span.cursor, self.offset
            if row >= span.end or offsets[row] != offset:
                row = bisect_left(offsets, offset, span.start, span.end)
                if row >= span.end or offsets[row] != offset:
                    continue
            span.cursor = row + 1
            return row
        return NO_ROW

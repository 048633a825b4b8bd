"""What a resend would do, from all that is known of each record: counts by campaign, people, the coded set.

Goes over the book in slices of its hashes, so that what is compared at once is bounded. Reads no topic.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from consumer.replay.book import ACCEPTED, IN_DOUBT, Flag, PlanBook
from consumer.replay.coding import Coding, PlannedPartition, PlannedRecord
from consumer.replay.criteria import Criteria
from consumer.replay.document import CampaignCounts, Counts
from consumer.replay.draft import Elsewhere, PlanDraft
from consumer.replay.fates import FATES, Judge, RecordFate

SLICE_ROWS: Final = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """What is worth a warning among what would be sent."""

    texted_already: int
    """People who have had a text of the campaign."""
    perhaps_texted_already: int
    """People whose very event is in doubt."""
    several: int
    """People for whom the resend itself holds more than one text of a campaign."""
    urgent: int
    """Records whose deadline is near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The inside of a plan."""

    counts: Counts
    campaigns: tuple[CampaignCounts, ...]
    records: tuple[PlannedPartition, ...]
    after: tuple[str, ...]
    remarks: Remarks


def conclude(draft: PlanDraft, criteria: Criteria, *, slice_rows: int = SLICE_ROWS) -> Conclusion:
    """Return what a resend would do. The draft is spent by that: its columns of hashes are given back as it goes."""
    book = draft.book
    judge = Judge(book, criteria, draft.elsewhere, draft.before)
    for rows, others in _by_event(book, draft.elsewhere, slice_rows):
        judge.slice(rows, others)
    book.event = array("Q")
    people = _People()
    for rows in _by_person(book, judge.fates, slice_rows):
        people.slice(book, judge.fates, rows)
    book.person = array("Q")
    campaigns = _campaigns(book, judge.fates, people)
    return Conclusion(
        counts=_total(campaigns, people),
        campaigns=campaigns,
        records=tuple(_coded(book, judge.fates)),
        after=tuple(sorted(judge.after)),
        remarks=Remarks(
            texted_already=people.texted_already,
            perhaps_texted_already=people.perhaps_texted_already,
            several=people.several,
            urgent=_urgent(book, judge.fates),
        ),
    )


def _by_event(book: PlanBook, elsewhere: Elsewhere, slice_rows: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield rows, and places of outcomes elsewhere, such that all of one event come together, each in their order."""
    slices = 1 + (len(book) + len(elsewhere.events)) // slice_rows
    rows, others = [array("I") for _ in range(slices)], [array("I") for _ in range(slices)]
    for row, event in enumerate(book.event):
        rows[event % slices].append(row)
    for place, event in enumerate(elsewhere.events):
        others[event % slices].append(place)
    while rows:
        yield rows.pop(), others.pop()


def _by_person(book: PlanBook, fates: bytearray, slice_rows: int) -> Iterator[Sequence[int]]:
    """Yield the rows that say who was texted or would be, such that all of one person come together."""
    slices = 1 + len(book) // slice_rows
    rows = [array("I") for _ in range(slices)]
    silent = {RecordFate.NOT_SELECTED, RecordFate.REPEATED}
    for row, (person, fate, status) in enumerate(zip(book.person, fates, book.status, strict=True)):
        if fate == RecordFate.WOULD_SEND or (status == ACCEPTED and fate not in silent):
            rows[person % slices].append(row)
    while rows:
        yield rows.pop()


class _People:
    """Counts people, slice by slice: everybody is in one slice alone."""

    def __init__(self) -> None:
        self.of_campaign = Counter[int]()
        self.second_of_campaign = Counter[int]()
        self.total = 0
        self.second = 0
        self.texted_already = 0
        self.perhaps_texted_already = 0
        self.several = 0

    def slice(self, book: PlanBook, fates: bytearray, rows: Sequence[int]) -> None:
        """Count the people of these rows."""
        had, would = set[tuple[int, int]](), Counter[tuple[int, int]]()
        in_doubt = set[int]()
        for row in rows:
            one = (book.campaign[row], book.person[row])
            if book.status[row] == ACCEPTED:
                had.add(one)
            if fates[row] == RecordFate.WOULD_SEND:
                would[one] += 1
                if book.status[row] == IN_DOUBT:
                    in_doubt.add(one[1])
        again = would.keys() & had
        several = {one for one, texts in would.items() if texts > 1}
        self.of_campaign.update(campaign for campaign, _ in would)
        self.second_of_campaign.update(campaign for campaign, _ in again | several)
        self.total += len({person for _, person in would})
        self.second += len({person for _, person in again | several})
        self.texted_already += len({person for _, person in again})
        self.several += len({person for _, person in several})
        self.perhaps_texted_already += len(in_doubt)


def _campaigns(book: PlanBook, fates: bytearray, people: _People) -> tuple[CampaignCounts, ...]:
    """The counts of each campaign that something was selected of, in the order of their IDs."""
    counted = [[0] * len(FATES) for _ in book.campaigns]
    for place, fate in zip(book.campaign, fates, strict=True):
        counted[place][fate] += 1
    campaigns = []
    for place, (campaign_id, counts) in enumerate(zip(book.campaigns, counted, strict=True)):
        named = dict(zip(FATES[1:], counts[1:], strict=True))
        if any(named.values()):
            of_people = {"people": people.of_campaign[place], "second_texts": people.second_of_campaign[place]}
            campaigns.append(
                CampaignCounts(campaign_id=campaign_id, selected=sum(named.values()), **named, **of_people)
            )
    return tuple(sorted(campaigns, key=lambda one: (one.campaign_id is None, one.campaign_id)))


def _total(campaigns: Sequence[CampaignCounts], people: _People) -> Counts:
    names = Counts.__struct_fields__
    sums = {name: sum(getattr(one, name) for one in campaigns) for name in names}
    return msgspec.structs.replace(Counts(**sums), people=people.total, second_texts=people.second)


def _coded(book: PlanBook, fates: bytearray) -> Iterator[PlannedPartition]:
    """Code what would be sent: spans of one partition stand behind one another in the book, or hold nothing of it."""
    for span in book.spans:
        coding = Coding(span.topic, span.partition)
        row = fates.find(RecordFate.WOULD_SEND, span.start, span.end)
        while row >= 0:
            coding.add(PlannedRecord(book.offset[row], book.digest[row], bool(book.flags[row] & Flag.EXTENDED)))
            row = fates.find(RecordFate.WOULD_SEND, row + 1, span.end)
        done = coding.done()
        if done is not None:
            yield done


def _urgent(book: PlanBook, fates: bytearray) -> int:
    return sum(
        1
        for fate, flags in zip(fates, book.flags, strict=True)
        if fate == RecordFate.WOULD_SEND and flags & Flag.URGENT
    )

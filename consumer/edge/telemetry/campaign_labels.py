"""Which campaigns have a label value of their own in metrics: a bounded number, by settings and by traffic. Counts no metric.

A campaign keeps its label for as long as the process lives, so that no counter ever goes back. What it had before it got
the label stays in `other`.
"""

from collections.abc import Iterable
from typing import Final

OTHER: Final = "other"
NONE: Final = "none"
"""Of records without a readable campaign."""

CANDIDATES_PER_PLACE: Final = 10
FEWEST_CANDIDATES: Final = 100


class CampaignLabels:
    """Hands out label values, `places` at most.

    Campaigns with settings of their own come first. Half of the places that are left go to others as they come: where
    there are few campaigns, each has its label at once. The other half goes to the busiest, at `look()`.
    """

    def __init__(self, *, places: int, own: Iterable[int] = ()) -> None:
        """`own` are the campaigns with settings of their own; the first `places` of them get a label."""
        self._labels = {campaign: str(campaign) for campaign, _ in zip(own, range(places), strict=False)}
        self._places = places
        self._at_once = len(self._labels) + (places - len(self._labels)) // 2
        self._busy = Busiest(max(FEWEST_CANDIDATES, CANDIDATES_PER_PLACE * places))

    def of(self, campaign_id: int, *, count: int) -> str:
        """Return a campaign's label, and note that it had `count` contacts or results."""
        label = self._labels.get(campaign_id)
        if label is not None:
            return label
        if len(self._labels) < self._at_once:
            return self._labels.setdefault(campaign_id, str(campaign_id))
        if len(self._labels) < self._places:
            self._busy.add(campaign_id, count)
        return OTHER

    def known(self, campaign_id: int | None) -> str:
        """Return the label of what may be no campaign at all: the ID stands in an invalid record."""
        return NONE if campaign_id is None else self._labels.get(campaign_id, OTHER)

    def look(self) -> None:
        """Give half of the places that are left to the campaigns that have been the busiest since the last look."""
        left = self._places - len(self._labels)
        for campaign_id in self._busy.first((left + 1) // 2):
            self._labels[campaign_id] = str(campaign_id)
        self._busy.clear()


class Busiest:
    """Counts campaigns in bounded memory: of 100,000, the busiest are known and the others are forgotten.

    A count is too low by a `capacity`-th of all that was counted, at most. Source: Misra and Gries, "Finding repeated
    elements", in the form whose counters are lowered together once there are twice as many as wanted.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, campaign_id: int, count: int) -> None:
        """Count for a campaign."""
        counts = self._counts
        counts[campaign_id] = counts.get(campaign_id, 0) + count
        if len(counts) > 2 * self._capacity:
            low = sorted(counts.values())[-self._capacity]
            self._counts = {campaign: count - low for campaign, count in counts.items() if count > low}

    def count(self, campaign_id: int) -> int:
        """Return a campaign's count, as far as it is known."""
        return self._counts.get(campaign_id, 0)

    def first(self, number: int) -> list[int]:
        """Return so many of the busiest campaigns, the busiest first; of equals, the one that came first."""
        return sorted(self._counts, key=lambda campaign: -self._counts[campaign])[:number]

    def clear(self) -> None:
        """Begin anew."""
        self._counts = {}

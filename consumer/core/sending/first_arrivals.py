"""Which campaigns have waited longest, without going through what waits of each. Holds no event, and decides nothing.

What is kept for a campaign is never later than the truth: what comes is noted, what has gone is looked for when
somebody asks. So whoever takes members out of a queued send need not say so.
"""

from collections.abc import Callable, Collection
from heapq import nsmallest

from consumer.core.terms import Ticks


class FirstArrivals:
    """By campaign, when the first of its events that wait arrived."""

    def __init__(self, first_of: Callable[[int], Ticks | None]) -> None:
        """`first_of` goes through what waits of a campaign; None where nothing does."""
        self._first_of = first_of
        self._since: dict[int, Ticks] = {}
        self._left: set[int] = set()
        """Campaigns of which something has stopped waiting since somebody asked."""

    @property
    def campaigns(self) -> int:
        """How many campaigns something is kept of."""
        return len(self._since.keys() | self._left)

    def came(self, campaign_id: int, arrived: Ticks) -> None:
        """Something of a campaign waits, the first event of which arrived then."""
        known = self._since.get(campaign_id)
        if known is None or arrived < known:
            self._since[campaign_id] = arrived

    def left(self, campaign_id: int) -> None:
        """Something of a campaign waits no more."""
        self._left.add(campaign_id)

    def forget(self, campaign_id: int) -> None:
        """Nothing of this campaign waits any more."""
        self._since.pop(campaign_id, None)
        self._left.discard(campaign_id)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._since.clear()
        self._left.clear()

    def eldest(self, most: int, *, blocked: Collection[int]) -> tuple[dict[int, Ticks], dict[int, Ticks]]:
        """Return when the first arrived of so many campaigns at most, the eldest first: of `blocked` ones, and of others."""
        for campaign_id in self._left:
            self._look(campaign_id)
        self._left.clear()
        mine = [campaign_id for campaign_id in blocked if campaign_id in self._since]
        if not mine:
            return {}, self._eldest(most, self._since)
        return self._eldest(most, mine), self._eldest(most, [one for one in self._since if one not in blocked])

    def _eldest(self, most: int, campaigns: Collection[int]) -> dict[int, Ticks]:
        since = self._since
        while True:
            told = nsmallest(most, campaigns, key=since.__getitem__)
            if not sum(self._look(campaign_id) for campaign_id in told):
                return {campaign_id: since[campaign_id] for campaign_id in told}
            campaigns = [campaign_id for campaign_id in campaigns if campaign_id in since]

    def _look(self, campaign_id: int) -> bool:
        """Look when a campaign's first event arrived; return whether that is later than was known."""
        first = self._first_of(campaign_id)
        if first is None:
            return self._since.pop(campaign_id, None) is not None
        later = first > self._since.get(campaign_id, first)
        self._since[campaign_id] = first
        return later

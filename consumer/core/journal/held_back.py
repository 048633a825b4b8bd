"""Events in hand of one partition whose campaigns are held, with what they are charged with. Decides nothing."""

from collections.abc import Iterable

from consumer.core.event import Decoded, Event
from consumer.core.terms import Offset


class HeldBack:
    """Filled while campaigns are held; empty, and without cost, otherwise."""

    def __init__(self) -> None:
        self._by_campaign: dict[int, dict[Offset, int]] = {}
        self.events = 0
        self.size_bytes = 0

    def __bool__(self) -> bool:
        return self.events > 0

    def add(self, event: Event) -> None:
        """An event of a held campaign is in hand."""
        together = self._by_campaign.setdefault(event.group.campaign_id, {})
        if event.offset not in together:
            together[event.offset] = event.size_bytes
            self.events += 1
            self.size_bytes += event.size_bytes

    def gone(self, records: Iterable[Decoded]) -> None:
        """Records have their outcome."""
        for record in records:
            if type(record) is not Event:
                continue
            together = self._by_campaign.get(record.group.campaign_id)
            if together is not None and together.pop(record.offset, None) is not None:
                self.events -= 1
                self.size_bytes -= record.size_bytes

    def forget(self, campaign_id: int) -> None:
        """A campaign may go on."""
        together = self._by_campaign.pop(campaign_id, {})
        self.events -= len(together)
        self.size_bytes -= sum(together.values())

    def campaigns(self) -> list[int]:
        """Return the campaigns that hold something back."""
        return [campaign_id for campaign_id, together in self._by_campaign.items() if together]

"""Events that wait behind their person's earlier ones, and until when they may. Settles nobody, and knows no order.

One that expires, or whose campaign is given up, while it waits is settled there and then; it stays in its person's
queue, and is passed over when its turn comes.
"""

from collections.abc import Iterable, Iterator

from consumer.core.event import Event
from consumer.core.policy import Policies
from consumer.core.sending.deadlines import EVENTS_AT_ONCE, Deadlines
from consumer.core.sending.first_arrivals import FirstArrivals
from consumer.core.sending.waiting_events import WaitingEvents
from consumer.core.terms import Instant, Ticks


class Waiters:
    """Looked at when their deadline comes, when they are too old for a first request, or with their campaign."""

    def __init__(self, policies: Policies, counts: WaitingEvents) -> None:
        self._counts = counts
        self._longest_seconds = policies.max_event_age_seconds
        self._deadlines: Deadlines[Event] = Deadlines()
        self._by_campaign: dict[int, dict[Event, None]] = {}
        """Those that are not settled yet, in the order of their arrival."""
        self.first_arrivals = FirstArrivals(self._first_arrival)
        self._settled: set[Event] = set()
        self._newer: dict[Event, Event] = {}
        """Events that are in sends, and who takes their place should they come back."""

    def wait(self, event: Event) -> None:
        """An event waits for its turn."""
        dues = [] if event.resend.id is not None else [Instant(event.occurred + self._longest_seconds)]
        if event.expires_at is not None:
            dues.append(event.expires_at)
        if dues:
            self._deadlines.put(event, min(dues))
        campaign_id = event.group.campaign_id
        self._by_campaign.setdefault(campaign_id, {})[event] = None
        self.first_arrivals.came(campaign_id, event.arrived)
        self._counts.add(event.partition, campaign_id)

    def _let_go(self, event: Event) -> None:
        self._deadlines.discard(event)
        campaign_id = event.group.campaign_id
        together = self._by_campaign.get(campaign_id)
        if together is not None:
            if event in together:
                del together[event]
                self._counts.remove(event.partition, campaign_id)
            if together:
                self.first_arrivals.left(campaign_id)
            else:
                del self._by_campaign[campaign_id]
                self.first_arrivals.forget(campaign_id)

    def has_its_turn(self, event: Event) -> bool:
        """Return whether an event that comes first now is still to be sent; it waits no more."""
        self._let_go(event)
        if event in self._settled:
            self._settled.remove(event)
            return False
        return True

    def settle(self, event: Event) -> bool:
        """Return whether an event waits and is not settled yet; from now on it is, by whoever asks."""
        if not self.waits(event):
            return False
        self._let_go(event)
        self._settled.add(event)
        return True

    def forget_settled(self, event: Event) -> bool:
        """Return whether an event was settled while it waited, and forget that: it leaves its person's queue at once."""
        if event not in self._settled:
            return False
        self._settled.remove(event)
        return True

    def waits(self, event: Event) -> bool:
        """Return whether an event waits and is not settled yet."""
        return event in self._by_campaign.get(event.group.campaign_id, ())

    def put_newer(self, event: Event, newer: Event) -> None:
        """Let an event that is in a send know who takes its place, if it does not go out."""
        self._newer[event] = newer

    def newer_than(self, event: Event) -> Event | None:
        """Return who takes this event's place; None where nobody does, or its request may have gone out."""
        newer = self._newer.get(event)
        return None if newer is None or event.history.lost or not self.waits(newer) else newer

    @property
    def any_newer(self) -> bool:
        """Whether somebody would take the place of an event that is in a send."""
        return bool(self._newer)

    def forget_newer(self, event: Event) -> None:
        """The outcome of an event is known."""
        self._newer.pop(event, None)

    def take_due(self, now: Instant) -> Iterator[Event]:
        """Yield those whose time has come, so many at once: each is settled by whoever asks."""
        for count, event in enumerate(self._deadlines.take_due(now), start=1):
            self._let_go(event)
            self._settled.add(event)
            yield event
            if count == EVENTS_AT_ONCE:
                return

    def take_of(self, campaign_id: int) -> Iterator[Event]:
        """Yield those of a campaign that is given up, the youngest first: each is settled by whoever asks."""
        while (together := self._by_campaign.get(campaign_id)) is not None:
            event = next(reversed(together))
            self._let_go(event)
            self._settled.add(event)
            yield event

    def _first_arrival(self, campaign_id: int) -> Ticks | None:
        together = self._by_campaign.get(campaign_id)
        return None if together is None else next(iter(together)).arrived

    def next_at(self) -> Instant | None:
        """Return when somebody is due, None where nobody is."""
        return self._deadlines.next_at()

    def forget(self, events: Iterable[Event]) -> None:
        """Their partition is no longer ours."""
        for event in events:
            self._let_go(event)
            self._settled.discard(event)
            self._newer.pop(event, None)

    def clear(self) -> None:
        """No partition is ours any more."""
        self._deadlines.clear()
        self._by_campaign.clear()
        self.first_arrivals.clear()
        self._settled.clear()
        self._newer.clear()

"""Events that wait behind their person's earlier ones, and until when they may. Settles nobody, and knows no order.

One that expires while it waits is settled there and then; it stays in its person's queue, and is passed over when its
turn comes.
"""

from collections.abc import Iterable, Iterator

from consumer.core.deadlines import Deadlines
from consumer.core.event import Event
from consumer.core.policy import Policies
from consumer.core.terms import Instant

AT_ONCE = 400
"""Events settled in one go: some 20 ms of work."""


class Waiters:
    """Looked at when their deadline comes, or when they are too old for a first request."""

    def __init__(self, policies: Policies) -> None:
        self._longest_seconds = policies.max_event_age_seconds
        self._deadlines: Deadlines[Event] = Deadlines()
        self._settled: set[Event] = set()

    def wait(self, event: Event) -> None:
        """An event waits for its turn."""
        dues = [] if event.resend.id is not None else [Instant(event.occurred + self._longest_seconds)]
        if event.expires_at is not None:
            dues.append(event.expires_at)
        if dues:
            self._deadlines.put(event, min(dues))

    def has_its_turn(self, event: Event) -> bool:
        """Return whether an event that comes first now is still to be sent; it waits no more."""
        self._deadlines.discard(event)
        if event in self._settled:
            self._settled.remove(event)
            return False
        return True

    def take_due(self, now: Instant) -> Iterator[Event]:
        """Yield those whose time has come, so many at once: each is settled by whoever asks."""
        for count, event in enumerate(self._deadlines.take_due(now), start=1):
            self._settled.add(event)
            yield event
            if count == AT_ONCE:
                return

    def next_at(self) -> Instant | None:
        """Return when somebody is due, None where nobody is."""
        return self._deadlines.next_at()

    def forget(self, events: Iterable[Event]) -> None:
        """Their partition is no longer ours."""
        for event in events:
            self._deadlines.discard(event)
            self._settled.discard(event)

    def clear(self) -> None:
        """No partition is ours any more."""
        self._deadlines.clear()
        self._settled.clear()

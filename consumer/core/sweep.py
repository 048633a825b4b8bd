"""When events whose time has come are settled: a few times a second at most, and so many at once. Settles none itself."""

from collections.abc import Mapping

from consumer.core.intake.admit import Admission
from consumer.core.journal.lane import Lane
from consumer.core.policy import Policies
from consumer.core.rivals import Rivals
from consumer.core.stops import Places, Stops
from consumer.core.terms import AT_ONCE, Instant, Now, Partition, Ticks

SWEEP_SECONDS = 0.25
"""How often at most."""

AT_ONCE_SECONDS = 0.001
"""What is left of a large sweep comes after the facts that have come meanwhile."""


class Sweep:
    """Goes by the deadlines of what is queued, and of what waits behind its own person; and by what operators stop."""

    def __init__(
        self, policies: Policies, admission: Admission, places: Places, stops: Stops, lanes: Mapping[Partition, Lane]
    ) -> None:
        self._admission = admission
        self._stops = stops
        self._delivery = places.delivery
        self._rivals = Rivals(policies, admission, places, lanes)
        self._lanes = lanes
        self._next_at = AT_ONCE

    def close_due(self, now: Now) -> None:
        """Settle those whose time has come, where a sweep is due; and at once, those whose place another event takes."""
        if self._admission.rivals:
            self._rivals.displace(now)
        if self._stops.any_called:
            self._stops.close_some(now)
        due_at = self._due_at()
        if due_at is None or due_at > now.wall or now.steady < self._next_at:
            return
        self._admission.close_due(self._lanes, now)
        self._delivery.close_due(now)
        left_at = self._due_at()
        at_once = left_at is not None and left_at <= now.wall
        self._next_at = Ticks(now.steady + (AT_ONCE_SECONDS if at_once else SWEEP_SECONDS))

    def wake_at(self, now: Now) -> Ticks | None:
        """Return when the next sweep is due, None where nobody's time comes."""
        if self._stops.any_called:
            return Ticks(now.steady + AT_ONCE_SECONDS)
        due_at = self._due_at()
        if due_at is None:
            return None
        return max(self._next_at, Ticks(now.steady + max(due_at - now.wall, AT_ONCE_SECONDS)))

    def _due_at(self) -> Instant | None:
        dues = (self._delivery.next_ending_at(), self._admission.waiters.next_at())
        return min((due for due in dues if due is not None), default=None)

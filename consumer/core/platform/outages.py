"""When no request could start, and for how long somebody has really been tried. Never reads a clock.

Neither age nor attempts run out while nothing is tried: an hour of a dead platform must not fail what is in hand and
spare what is still unread. Spans are of wall-clock time, like the instants of attempts, so that both outlive an owner.
"""

from collections.abc import Iterable

from consumer.core.memory.platform_memory import StandstillSpan
from consumer.core.terms import Instant

MOST_SPANS = 32
"""The longest are kept: what somebody lived through beyond these counts as having been tried."""


class Outages:
    """Stretches of time in which nothing could start, for everybody or for one campaign."""

    def __init__(self) -> None:
        self._over: list[StandstillSpan] = []
        self._since: Instant | None = None

    def begin(self, at: Instant) -> None:
        """Nothing can start from here on; nothing new where that is known."""
        if self._since is None:
            self._since = at

    def end(self, at: Instant) -> None:
        """Requests can start again."""
        if self._since is not None:
            since, self._since = self._since, None
            self.add(StandstillSpan(since=since, until=at))

    def add(self, span: StandstillSpan) -> None:
        """Take note of a whole outage; what touches another is one with it."""
        if span.until <= span.since:
            return
        apart = [one for one in self._over if one.until < span.since or span.until < one.since]
        if len(apart) < len(self._over):
            joined = [one for one in self._over if one not in apart]
            since = min(span.since, *(one.since for one in joined))
            span = StandstillSpan(since=since, until=max(span.until, *(one.until for one in joined)))
        apart.append(span)
        if len(apart) > MOST_SPANS:
            apart.remove(min(apart, key=lambda one: one.until - one.since))
        self._over = apart

    def spans(self, now: Instant) -> tuple[StandstillSpan, ...]:
        """Return all outages, one that goes on included, up to now."""
        if self._since is None or self._since >= now:
            return tuple(self._over)
        return (*self._over, StandstillSpan(since=self._since, until=now))


def tried_seconds(since: Instant, now: Instant, outages: Iterable[StandstillSpan]) -> float:
    """Return the seconds from `since` to `now` that lie in no outage. A wall clock that was set back counts none."""
    seconds, reached = 0.0, since
    for span in sorted(outages, key=lambda one: one.since):
        if span.since > reached:
            seconds += max(0.0, min(span.since, now) - reached)
        reached = max(reached, span.until)
    return seconds + max(0.0, now - reached)

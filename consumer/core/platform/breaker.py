"""The circuit breaker: whether the platform as a whole is there, and whether it works. Never starts a request.

It opens in two ways. Three attempts in a row that found no connection: the platform is not there, and asking again
costs it nothing, so the waits begin at half a second. Or too many failures among the latest requests (no connection,
lost answers, 5xx): the platform is there and suffers, each request may text people twice, so the waits begin at
`BREAKER__OPEN_FOR`. A 429 is no failure: whoever says "too many" works.

One campaign's failures say nothing about the platform while others get through: then it stays closed. Where one campaign alone
was asked, it opens all the same, until something of another campaign waits, which may not pay for it.

While it is open nothing starts. When its wait is over it is half open: one real send at a time shows whether it is over,
after whatever was out before has come to its end. A failure opens it again, for twice as long.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from consumer.core.platform.retry import backoff_seconds
from consumer.core.policy import BreakerPolicy
from consumer.core.terms import AT_ONCE, Instant, Now, Ticks

KNOCK_BASE_SECONDS = 0.5
KNOCK_MAX_SECONDS = 30.0
"""How long is waited between attempts to reach a platform that is not there."""

MISSES_IN_A_ROW = 3
"""So many attempts found no connection, and none did in between: the platform is not there."""

MISS_SECONDS = 1.0
"""Waits for a connection that deadlines have ended count as one that was not made when they come to this together."""

MOST_CAMPAIGNS = 16
"""So many of those asked last are told apart: two are enough to know."""

SLOTS = 30
"""The window slides in so many steps."""


class BreakerState(StrEnum):
    """How the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerTrouble(StrEnum):
    """Why the breaker is not closed."""

    UNREACHABLE = "unreachable"
    FAILING = "failing"


@dataclass(slots=True)
class _Slot:
    begins_at: float
    requests: int = 0
    failures: int = 0


class Breaker:
    """One for the process."""

    def __init__(self, policy: BreakerPolicy, dither: Callable[[], float]) -> None:
        """`dither` returns a factor of the waits, in [0.5, 1): a crowd of instances must not ask all at once."""
        self.policy = policy
        self._dither = dither
        self._slots: deque[_Slot] = deque()
        self._asked: OrderedDict[int, Ticks] = OrderedDict()
        self._failing: OrderedDict[int, Ticks] = OrderedDict()
        """Campaigns whose requests have ended, and have failed, lately; by when last."""
        self._blamed: int | None = None
        """The only campaign that had been asked when it opened."""
        self._misses = 0
        self._waited_seconds = 0.0
        """In waits for a connection that deadlines have ended, since somebody was reached or they counted last."""
        self._missed_at = Instant(0.0)
        self._setbacks = 0
        self._is_probing = False
        self.trouble: BreakerTrouble | None = None
        self.since = Instant(0.0)
        """Since when nothing gets through, while it is not closed."""
        self.again_at: Ticks = AT_ONCE
        """When a request may start at the earliest, as far as this goes; that may be over."""

    @property
    def is_closed(self) -> bool:
        """Whether requests flow, as far as this goes."""
        return self.trouble is None

    def state(self, now: Now) -> BreakerState:
        """Return how it stands."""
        if self.trouble is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now.steady < self.again_at else BreakerState.HALF_OPEN

    def started(self) -> None:
        """A request starts. While the breaker is not closed nothing else is out, so it is the probe."""
        self._is_probing = not self.is_closed

    # ---------------------------------------------------------------- connections

    def missed(self, now: Now) -> None:
        """No connection: a failure, and several in a row say that the platform is not there."""
        self._count(now, failures=1)
        self._missed_at = now.wall if self._misses == 0 else self._missed_at
        self._misses += 1
        is_gone = self._misses >= MISSES_IN_A_ROW
        if self.trouble is not None:
            self.trouble = BreakerTrouble.UNREACHABLE if is_gone else self.trouble
            if now.steady >= self.again_at:
                self._reopen(now)
        elif is_gone:
            self._open(BreakerTrouble.UNREACHABLE, self._missed_at, now)
        elif self._is_bad(now):
            self._open(BreakerTrouble.FAILING, now.wall, now)

    def deadline_passed(self, seconds: float, now: Now) -> None:
        """A deadline ended the wait for a connection after so many seconds.

        A short wait proves nothing. Were it nothing, each deadline would be a probe in a network that is dead; were it
        a miss, urgent events that go out late would make an outage of a network that is slow.
        """
        self._waited_seconds += seconds
        if self._waited_seconds >= MISS_SECONDS:
            self._waited_seconds = 0.0
            self.missed(now)
        elif self.trouble is not None and now.steady >= self.again_at:
            self._wait(now)

    def reached(self) -> None:
        """Somebody answered, or took a request at least: the platform is there, whether or not it works."""
        self._misses, self._waited_seconds = 0, 0.0
        if self.trouble is BreakerTrouble.UNREACHABLE:
            self._close()

    # ---------------------------------------------------------------- requests

    def waits(self, campaign_id: int) -> None:
        """Something of a campaign waits. Where all blame is another campaign's, the platform has not been tried with it."""
        if self._blamed is not None and campaign_id != self._blamed:
            self._close()

    def succeeded(self, campaign_id: int, now: Now) -> None:
        """A request was answered, and not with a failure of the platform. What began before the trouble says nothing."""
        _note(self._asked, campaign_id, now)
        if self.trouble is None:
            self._count(now, failures=0)
        elif self._is_probing:
            self._close()

    def failed(self, campaign_id: int, now: Now) -> None:
        """A request was lost, or answered with a 5xx."""
        _note(self._asked, campaign_id, now)
        _note(self._failing, campaign_id, now)
        if self.trouble is None:
            self._count(now, failures=1)
            if self._is_bad(now):
                self._open(BreakerTrouble.FAILING, now.wall, now)
        elif self._is_probing and now.steady >= self.again_at:
            self._reopen(now)

    # ---------------------------------------------------------------- states

    def _open(self, trouble: BreakerTrouble, since: Instant, now: Now) -> None:
        self.trouble, self.since = trouble, since
        self._setbacks, self._is_probing = 1, False
        asked = self._lately(self._asked, now)
        self._blamed = asked[0] if trouble is BreakerTrouble.FAILING and len(asked) == 1 else None
        self._wait(now)

    def _reopen(self, now: Now) -> None:
        self._setbacks += 1
        self._is_probing = False
        self._wait(now)

    def _close(self) -> None:
        self.trouble, self.again_at = None, AT_ONCE
        self._setbacks, self._is_probing, self._blamed = 0, False, None
        self._slots.clear()

    def _wait(self, now: Now) -> None:
        is_there = self.trouble is BreakerTrouble.FAILING
        seconds = backoff_seconds(
            self._setbacks,
            base_seconds=self.policy.open_seconds if is_there else KNOCK_BASE_SECONDS,
            max_seconds=self.policy.max_open_seconds if is_there else KNOCK_MAX_SECONDS,
            jitter=self._dither(),
        )
        self.again_at = Ticks(now.steady + seconds)

    # ---------------------------------------------------------------- the sliding window

    def _count(self, now: Now, *, failures: int) -> None:
        width = self.policy.window_seconds / SLOTS
        slots = self._slots
        if not slots or now.steady >= slots[-1].begins_at + width:
            slots.append(_Slot(begins_at=now.steady))
        slots[-1].requests += 1
        slots[-1].failures += failures
        while slots[0].begins_at + width < now.steady - self.policy.window_seconds:
            slots.popleft()

    def _is_bad(self, now: Now) -> bool:
        failing, asked = self._lately(self._failing, now), self._lately(self._asked, now)
        if len(failing) == 1 and len(asked) > 1:
            return False
        requests = sum(slot.requests for slot in self._slots)
        failures = sum(slot.failures for slot in self._slots)
        return requests >= self.policy.min_requests and failures >= self.policy.failure_ratio * requests

    def _lately(self, campaigns: OrderedDict[int, Ticks], now: Now) -> list[int]:
        since = now.steady - self.policy.window_seconds
        return [campaign_id for campaign_id, at in campaigns.items() if at >= since]


def _note(campaigns: OrderedDict[int, Ticks], campaign_id: int, now: Now) -> None:
    campaigns[campaign_id] = now.steady
    campaigns.move_to_end(campaign_id)
    if len(campaigns) > MOST_CAMPAIGNS:
        campaigns.popitem(last=False)

"""How many requests may be in flight at once, following the platform. Plain arithmetic over the time given.

Additive increase, multiplicative decrease, as TCP's congestion control: a 429, a 503, an answer that never comes, or latency
that grows lower the limit at once, and full use without trouble raises it by one for each round of requests. Latency is judged as Vector's
controller does, against a running mean and deviation, and not by a ratio to the smallest latency ever seen as Netflix'
first gradient limiter: requests carry 1 to 500 contacts here, so the smallest latency is that of the smallest request.
A limit starts at its maximum: a platform that never complains is never kept waiting.

What was too much is remembered. Below it the limit climbs by a round; to try it again takes 200 requests without
trouble, or a minute: probing once a round, as TCP does, would spend a tenth of all requests on being told "too many".
Once that much goes well for a round, it is forgotten.
Sources: V. Jacobson, "Congestion Avoidance and Control" (1988); Vector, RFC 1858 (adaptive request concurrency);
S. Ha and others, "CUBIC" (2008), for the remembered maximum.
"""

from consumer.core.terms import AT_ONCE, Now, Ticks

DECREASE = 0.75
PROBE_AFTER = 200
PROBE_AFTER_SECONDS = 60.0
"""What was too much is tried again after so many requests without trouble at one below it, or so much time."""

FASTER = 0.2
SLOWER_SECONDS = 600.0
"""A faster round has this weight in the running mean of latency; slower ones move it within some ten minutes. A mean that
took slower rounds in quickly would follow a limit that rises by one each round, and never find them slow."""

DEVIATIONS = 4.0
GROWTH = 2.0
"""A round's mean latency beyond twice the running mean, and by four deviations, is congestion."""

OWN_SECONDS = 0.1
"""A round's mean below this is none, whatever it grew from: our own loop adds as much, where it decodes a batch or where 32
answers come at once."""

ENOUGH = 20
"""Requests before a round's mean says anything (or as many as are in flight at once)."""

STUBBORN = 0.9
"""A slow round after the limit was lowered for one has to be faster by a tenth at least, to lower it again."""

INFINITE = float("inf")


class ConcurrencyLimit:
    """One limit, for everybody or for one campaign. `maximum` never changes; `current` lies between it and `minimum`."""

    __slots__ = (
        "_ceiling",
        "_deviation",
        "_in_full_use",
        "_lowered_at",
        "_mean",
        "_quiet",
        "_round",
        "_round_ended_at",
        "_round_seconds",
        "_rounds",
        "_slow_mean",
        "current",
        "maximum",
        "minimum",
    )

    def __init__(self, *, maximum: int, minimum: int) -> None:
        self.maximum = maximum
        self.minimum = min(minimum, maximum)
        self.current = maximum
        self._ceiling = maximum + 1
        """The least that was too much, as far as is known."""
        self._lowered_at: Ticks = AT_ONCE
        self._quiet = 0
        """Requests that ended well in a row, with the limit in full use."""
        self._in_full_use = 0
        """How many of the next ends count as those of full use: requests that began together end together, and each but the
        first one sees fewer in flight."""
        self._rounds = self._round = 0
        self._mean = self._deviation = self._round_seconds = 0.0
        self._round_ended_at: Ticks = AT_ONCE
        self._slow_mean = INFINITE
        """The latest round's mean, where it lowered the limit."""

    def succeeded(self, *, seconds: float, started_at: Ticks, in_flight: int, reserved: int = 0, now: Now) -> None:
        """A request ended well after so many seconds, when so many (it included) were in flight.

        The limit is in full use where all but so many `reserved` slots are taken, which not every request may take.
        """
        if self._is_slow(seconds, started_at, in_flight, now):
            self.congested(started_at=started_at, now=now)
            return
        if in_flight + reserved >= self.current:
            self._in_full_use = self.current
        if self.current == self.maximum or not self._in_full_use:
            return
        self._in_full_use -= 1
        self._quiet += 1
        if self._quiet < self.current or not self._may_rise(now):
            return
        if self.current >= self._ceiling:
            self._ceiling = self.maximum + 1
        self._quiet = 0
        self.current += 1

    def _may_rise(self, now: Now) -> bool:
        """Return whether one more may be tried after a round without trouble: not what was too much a moment ago."""
        if self.current + 1 != self._ceiling:
            return True
        return self._quiet >= PROBE_AFTER or now.steady >= self._lowered_at + PROBE_AFTER_SECONDS

    def congested(self, *, started_at: Ticks, now: Now) -> None:
        """A request ended in a way that says "too many". Those that started before the last decrease say nothing new."""
        self._quiet = 0
        self._round, self._round_seconds = 0, 0.0
        if started_at < self._lowered_at:
            return
        self._lowered_at = now.steady
        self._ceiling = self.current
        self.current = max(self.minimum, int(self.current * DECREASE))

    @property
    def standing(self) -> tuple[int, int]:
        """What `restore` takes: the limit, and what was too much."""
        return (self.current, self._ceiling)

    def restore(self, standing: tuple[int, int]) -> None:
        """What has lowered it since was no matter of this limit."""
        self.current, self._ceiling = max(self.current, standing[0]), max(self._ceiling, standing[1])

    def forget_ceiling(self) -> None:
        """What was too much was not too much of this: it may rise by one a round from where it is."""
        self._ceiling = self.maximum + 1

    def _is_slow(self, seconds: float, started_at: Ticks, in_flight: int, now: Now) -> bool:
        """Take a latency in; say whether a round of requests was slow, as the ones before go.

        Latency that has not fallen with the limit does not come from it: then it is the new measure.
        """
        if started_at < self._lowered_at:
            return False
        self._round += 1
        self._round_seconds += seconds
        if self._round < max(ENOUGH, in_flight):
            return False
        mean = self._round_seconds / self._round
        self._round, self._round_seconds = 0, 0.0
        apart = mean - self._mean
        usual = max(OWN_SECONDS, GROWTH * self._mean, self._mean + DEVIATIONS * self._deviation)
        is_slow = self._rounds > 1 and mean > usual
        if is_slow and 2 * in_flight >= self.current and mean < STUBBORN * self._slow_mean:
            self._slow_mean = mean
            return True
        self._slow_mean = INFINITE if not is_slow else mean
        passed = min(1.0, (now.steady - self._round_ended_at) / SLOWER_SECONDS)
        weight = 1.0 if is_slow or not self._rounds else FASTER if apart < 0 else passed
        self._rounds += 1
        self._round_ended_at = now.steady
        self._mean += weight * apart
        if not is_slow:
            self._deviation += weight * (abs(apart) - self._deviation)
        return False

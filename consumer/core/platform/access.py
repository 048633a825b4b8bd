"""Whether requests may start, and if not, why and until when. Says who may start one, never starts any.

- First contact: until the first 2xx of this configuration no refusal settles anything.
- A stop: key, role, credit, proxy or address was refused. A 2xx of another campaign narrows it to those refused.
- The breaker (`breaker.py`): the platform is not there, or most of what it is asked fails.
- A rate (`limits.py`): as much as may start in a second has started.
- A pause that the platform asked for, of everybody or of a campaign.
- A hold: an operator has stopped a campaign, or everything; or nobody knows, for the control topic was not read lately.

Before the first contact, while stopped and while the breaker is half open one real send at a time is the probe. Refusals put off the
campaign that was refused: the others have their turns soon, and all that were not tried yet are tried within 20 s and
what their requests take, one after the other (5,000 that are answered in 10 ms each: 70 s). A campaign's urgent sends
and its others have a turn each: one urgent event that is refused for good must not stand before all the others for
ever. What says nothing about a campaign puts off everybody.

Whatever was refused is tried again half a minute later at most, or after a tenth of a second for each that is refused,
where that is more: of 5,000 refused campaigns, each is tried every 500 s at most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from consumer.core.memory.platform_memory import MAX_REMEMBERED, Remembered, StandstillSpan
from consumer.core.platform.breaker import Breaker, BreakerTrouble
from consumer.core.platform.holds import Holds
from consumer.core.platform.limits import DeliveryLimits
from consumer.core.platform.outages import Outages, tried_seconds
from consumer.core.platform.pauses import Pauses
from consumer.core.platform.retry import backoff_seconds
from consumer.core.policy import Policies
from consumer.core.terms import AT_ONCE, NEVER, Instant, Now, Ticks

PROBE_BASE_SECONDS = 0.5
PROBE_MAX_SECONDS = 30.0

FIRST_TRY_WITHIN_SECONDS = 20.0
"""Waits between the first turns of all campaigns come to this together; their requests take their time, too."""

PROBES_PER_SECOND = 10.0
"""As often at most are refused campaigns probed, all of them together: 10,000 must not cost a probe each half a minute."""

MOST_REFUSED = 10_000
"""Refused campaigns that are known at once; the one that was refused first is forgotten beyond."""


class AccessState(StrEnum):
    """What the platform's answers say about us, and whether it is there."""

    FIRST_CONTACT = "first_contact"
    OPEN = "open"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"
    FAILING = "failing"
    PAUSED = "paused"


STATE_OF = {BreakerTrouble.UNREACHABLE: AccessState.UNREACHABLE, BreakerTrouble.FAILING: AccessState.FAILING}

ProbeKey = tuple[int, bool]
"""A campaign, and whether it is its urgent sends' turn."""


@dataclass(slots=True)
class _Setback:
    """What was tried in vain, and when it is tried again."""

    count: int = 0
    again_at: Ticks = AT_ONCE


@dataclass(slots=True)
class Refusal:
    """A campaign that key or role may not send although others get through."""

    first_at: Instant
    last_at: Instant
    setbacks: int = 0
    probe_at: Ticks = AT_ONCE


class Access:
    """One for the process: a key is the same for every partition."""

    def __init__(self, jitter: Callable[[], float], holds: Holds, policies: Policies) -> None:
        self._jitter = jitter
        self.holds = holds
        self.breaker = Breaker(policies.breaker, self._dither)
        self.limits = DeliveryLimits(policies)
        self._configuration, self._is_dry = policies.configuration, policies.dry_run
        self._contact: str | None = None
        self._is_stopped = False
        self._is_contacted = False
        self._turned_away = False
        self._probe = _Setback()
        self._turns: dict[ProbeKey, _Setback] = {}
        """Those that were the probe since nobody else is let through."""
        self._suspects: dict[int, Instant] = {}
        """Campaigns whose key or role was refused since then, by their first refusal."""
        self._crowd = 1
        self._outages = Outages()
        self._outages_of: dict[int, Outages] = {}
        self.pauses = Pauses()
        self.refused: dict[int, Refusal] = {}
        """Campaigns that stay refused although others get through, in the order of their refusals."""
        self.since: Instant | None = None
        """When the state changed last, pauses not counted; None until something happened."""

    # ---------------------------------------------------------------- how it stands

    def state(self, now: Now) -> AccessState:
        """Return how it stands, the gravest first."""
        if self.breaker.trouble is not None:
            return STATE_OF[self.breaker.trouble]
        if self._is_stopped:
            return AccessState.STOPPED
        if not self._is_contacted:
            return AccessState.FIRST_CONTACT
        return AccessState.PAUSED if self.pauses.of_everybody > now.steady else AccessState.OPEN

    def since_at(self, now: Now) -> Instant | None:
        """Return since when `state(now)` has been as it is, pauses counted."""
        span = self.pauses.everybodys_span(now)
        return span.since if span is not None and self.state(now) is AccessState.PAUSED else self.since

    @property
    def is_contacted(self) -> bool:
        """Whether this configuration has had a 2xx."""
        return self._is_contacted

    @property
    def is_stopped(self) -> bool:
        """Whether key, role, credit, proxy or address is refused."""
        return self._is_stopped

    @property
    def settles_refusals(self) -> bool:
        """Whether a refusal may be believed to be about the request, not about us."""
        return self._is_contacted and not self._is_stopped

    @property
    def turns_us_away(self) -> bool:
        """Whether the platform refuses all that it is asked, as far as is known."""
        return not self.settles_refusals and self._turned_away

    @property
    def one_at_a_time(self) -> bool:
        """Whether a probe is all that may be out."""
        return not (self.breaker.is_closed and self.settles_refusals)

    @property
    def by_turns(self) -> bool:
        """Whether whose turn it is as the probe depends on what was tried: `turn_at` says."""
        return self.breaker.is_closed and not self.settles_refusals

    def may_start(self, campaign_id: int, now: Now) -> bool:
        """Return whether operators let a request of this campaign start, as far as they can have been heard."""
        return not (self.holds.is_blind(now) or self.holds.holds_campaign(campaign_id))

    def shut_until(self, now: Now) -> Ticks:
        """Return when anything may start at the earliest; that may be over."""
        if self.holds.is_blind(now) or self.holds.of_everybody is not None:
            return NEVER
        probe_at = AT_ONCE if self.settles_refusals else self._probe.again_at
        return max(self.pauses.of_everybody, self.breaker.again_at, probe_at, self.limits.free_at(now))

    def turn_at(self, turn: ProbeKey) -> Ticks | None:
        """Return when a turn that was the probe already may be it again; None for one that was not."""
        tried = self._turns.get(turn)
        return None if tried is None else tried.again_at

    def campaign_at(self, campaign_id: int) -> Ticks:
        """Return until when nothing of this campaign is tried, everybody's waits and rates apart; that may be over."""
        if self.holds.holds_campaign(campaign_id):
            return NEVER
        refusal = self.refused.get(campaign_id)
        probe_at = AT_ONCE if refusal is None else refusal.probe_at
        return max(self.pauses.of_campaign(campaign_id), probe_at)

    def campaign_free_at(self, campaign_id: int, now: Now) -> Ticks:
        """Return when a send of this campaign may start at the earliest, everybody's waits apart."""
        return max(self.campaign_at(campaign_id), self.limits.campaign_free_at(campaign_id, now))

    def next_probe_at(self, now: Now) -> Ticks | None:
        """Return when the next probe may start, None where none is waited for."""
        if self.one_at_a_time:
            shut_until = self.shut_until(now)
            return None if shut_until == NEVER else max(now.steady, shut_until)
        return min((max(now.steady, refusal.probe_at) for refusal in self.refused.values()), default=None)

    def picked(self, campaign_id: int, contacts: int, now: Now, *, crowd: int) -> None:
        """Take note that a send of so many contacts starts, as a probe or not; of so many campaigns something waits."""
        self._crowd = crowd
        self.breaker.started()
        self.limits.started(campaign_id, contacts, now)
        if self.one_at_a_time and not self._is_dry:  # nobody is asked in a dry run, so nothing is known of the platform
            self._outages.begin(now.wall)
            self.since = self.since or now.wall

    # ---------------------------------------------------------------- what was heard

    def accepted(self, campaign_id: int, now: Now) -> None:
        """A 2xx: whoever got it is let in; a stop narrows to the campaigns that were refused."""
        self._contact = self._configuration
        refusal = self.refused.pop(campaign_id, None)
        if refusal is not None:
            self._of(campaign_id).add(StandstillSpan(since=refusal.first_at, until=now.wall))
        if self.settles_refusals:
            return
        for suspect, first_at in self._suspects.items():
            if suspect != campaign_id:
                self._narrow_to(suspect, first_at, now)
        self._suspects.clear()
        self._turns.clear()
        self._probe = _Setback()
        self._is_contacted, self._is_stopped = True, False
        self._may_flow(now)

    def _narrow_to(self, campaign_id: int, first_at: Instant, now: Now) -> None:
        tried = [self._turns.get((campaign_id, urgent), _Setback()) for urgent in (True, False)]
        soon = Ticks(now.steady + self._wait(1))  # what has changed for others may have changed for it
        self._refuse(
            campaign_id,
            Refusal(
                first_at=first_at,
                last_at=now.wall,
                setbacks=max(each.count for each in tried),
                probe_at=min(soon, max(each.again_at for each in tried)),
            ),
        )

    def _refuse(self, campaign_id: int, refusal: Refusal) -> None:
        self.refused[campaign_id] = refusal
        if len(self.refused) > MOST_REFUSED:
            del self.refused[next(iter(self.refused))]

    def access_refused(self, turn: ProbeKey, now: Now) -> None:
        """Key, role, credit, proxy or address was refused: stop, or stay stopped, and probe later."""
        campaign_id, _ = turn
        refusal = self.refused.get(campaign_id)
        if refusal is not None and self.settles_refusals:
            refusal.last_at = now.wall
            if now.steady >= refusal.probe_at:  # else it was out before the stop, and says what is known
                refusal.setbacks += 1
                refusal.probe_at = Ticks(now.steady + self._wait(refusal.setbacks, crowd=len(self.refused)))
            return
        if self.settles_refusals:
            self._is_stopped = True
            self._no_longer_flows(now.wall, now)
        self._suspects.setdefault(campaign_id, now.wall)
        self._put_off(turn, now)

    def request_refused(self, turn: ProbeKey, now: Now) -> None:
        """A refusal that is about the request; before the first contact it may be about us."""
        if not self.settles_refusals:
            self._put_off(turn, now)

    def _put_off(self, turn: ProbeKey, now: Now) -> None:
        """Let the others have their turns before this one has it again."""
        self._turned_away = True
        tried = self._turns.setdefault(turn, _Setback())
        if now.steady >= tried.again_at:
            tried.count += 1
            tried.again_at = Ticks(now.steady + self._wait(tried.count, crowd=len(self._turns)))
        if now.steady >= self._probe.again_at:
            soon = min(PROBE_BASE_SECONDS, FIRST_TRY_WITHIN_SECONDS / self._crowd)
            self._probe = _Setback(0, Ticks(now.steady + soon * self._dither()))

    def attempt_inconclusive(self, turn: ProbeKey, now: Now) -> None:
        """A request brought neither a 2xx nor a refusal. If it was the probe, the next one waits, whoever's it is."""
        if self.settles_refusals:
            return
        tried = self._turns.setdefault(turn, _Setback())
        tried.again_at = max(tried.again_at, now.steady)
        if now.steady >= self._probe.again_at:
            count = self._probe.count + 1
            self._probe = _Setback(count, Ticks(now.steady + self._wait(count)))

    def connect_failed(self, now: Now) -> None:
        """No connection. Several times in a row, the platform is not there."""
        self._tell_breaker(now, lambda breaker: breaker.missed(now))

    def connect_deadline_passed(self, turn: ProbeKey, seconds: float, now: Now) -> None:
        """A deadline ended the wait for a connection after so many seconds."""
        self._tell_breaker(now, lambda breaker: breaker.deadline_passed(seconds, now))
        self.attempt_inconclusive(turn, now)

    def waits(self, campaign_id: int, now: Now) -> None:
        """Something of this campaign waits for its turn."""
        if not self.breaker.is_closed:
            self._tell_breaker(now, lambda breaker: breaker.waits(campaign_id))

    def reached(self, campaign_id: int, now: Now, *, failed: bool) -> None:
        """Somebody answered, or took a request at least; `failed`: the answer is lost, or a 5xx."""

        def tell(breaker: Breaker) -> None:
            breaker.reached()
            (breaker.failed if failed else breaker.succeeded)(campaign_id, now)

        self._tell_breaker(now, tell)

    def _tell_breaker(self, now: Now, tell: Callable[[Breaker], None]) -> None:
        was_closed = self.breaker.is_closed
        tell(self.breaker)
        if was_closed and not self.breaker.is_closed:
            self._no_longer_flows(self.breaker.since, now)
        elif self.breaker.is_closed and not was_closed:
            self._may_flow(now)

    def asked_to_wait(self, campaign_id: int | None, seconds: float, now: Now) -> None:
        """The platform asked for patience with this campaign, or with everybody."""
        span = self.pauses.ask(campaign_id, seconds, now)
        if campaign_id is None:
            self._outages.add(span)
        else:
            self._of(campaign_id).add(span)

    def _no_longer_flows(self, since: Instant, now: Now) -> None:
        self._outages.begin(since)
        self.since = now.wall

    def _may_flow(self, now: Now) -> None:
        self.since = now.wall
        if not self.one_at_a_time:
            self._outages.end(now.wall)

    def _wait(self, count: int, *, crowd: int = 0) -> float:
        longest = max(PROBE_MAX_SECONDS, crowd / PROBES_PER_SECOND)
        return backoff_seconds(count, base_seconds=PROBE_BASE_SECONDS, max_seconds=longest, jitter=self._dither())

    def _dither(self) -> float:
        return 0.5 + self._jitter() / 2  # never at once: a probe is a real send to a platform that said no

    # ---------------------------------------------------------------- age

    def _of(self, campaign_id: int) -> Outages:
        return self._outages_of.setdefault(campaign_id, Outages())

    def tried_seconds(self, campaign_id: int, since: Instant, now: Now) -> float:
        """Return for how long something of this campaign is tried, first at `since`: time that nothing could start in is none."""
        spans = [*self._outages.spans(now.wall), *self.holds.spans(campaign_id, now)]
        known, refusal = self._outages_of.get(campaign_id), self.refused.get(campaign_id)
        if known is not None:
            spans += known.spans(now.wall)
        if refusal is not None:
            spans.append(StandstillSpan(since=refusal.first_at, until=now.wall))
        return tried_seconds(since, now.wall, spans)

    def refused_seconds(self, campaign_id: int, now: Now) -> float | None:
        """Return for how long a campaign is refused while others might get through; None for one that is not."""
        refusal = self.refused.get(campaign_id)
        if refusal is None:
            return None
        spans = (*self._outages.spans(now.wall), *self.holds.spans(campaign_id, now))
        return tried_seconds(refusal.first_at, now.wall, spans)

    def is_hopeless(self, campaign_id: int, max_age_seconds: float, now: Now) -> bool:
        """Return whether a campaign is refused for too long, and was asked about a moment ago: its events need not wait."""
        refusal = self.refused.get(campaign_id)
        if refusal is None or self.one_at_a_time or now.steady >= refusal.probe_at:
            return False
        seconds = self.refused_seconds(campaign_id, now)
        return seconds is not None and seconds > max_age_seconds

    def forget(self, campaign_id: int) -> None:
        """Nothing of this campaign waits any more: nobody's age depends on what it went through."""
        self._outages_of.pop(campaign_id, None)
        self.limits.forget(campaign_id)

    # ---------------------------------------------------------------- what outlives us

    def remember(self, platform: Remembered, now: Now) -> None:
        """Learn what a former owner knew: a configuration that was let in before needs no first contact."""
        if self._contact != self._configuration:
            self._contact = platform.contact or self._contact
        if not (self._is_contacted or self._turned_away) and self._contact == self._configuration:
            self._is_contacted = True
            self._may_flow(now)
        if platform.paused is not None:
            self.pauses.resume(None, platform.paused, now)
        for campaign_id, span in platform.paused_campaigns.items():
            self.pauses.resume(campaign_id, span, now)
            self._of(campaign_id).add(span)
        for campaign_id, first_at in platform.refused_campaigns.items():
            if campaign_id not in self.refused and first_at <= now.wall:
                self._refuse(campaign_id, Refusal(first_at=first_at, last_at=first_at))
        for span in (*platform.outages, *([platform.paused] if platform.paused is not None else [])):
            self._outages.add(span)

    def memory(self, now: Now) -> Remembered:
        """Return what the next owner should know."""
        youngest = islice(reversed(self.refused.items()), MAX_REMEMBERED)
        return Remembered(
            contact=self._contact,
            paused=self.pauses.everybodys_span(now),
            paused_campaigns=self.pauses.by_campaign(now),
            refused_campaigns={campaign_id: refusal.first_at for campaign_id, refusal in youngest},
            outages=self._outages.spans(now.wall),
        )

"""The limits in force: requests in flight, requests and contacts a second, of all campaigns together and of each.

Never starts a request, and knows no other instance: by default the rates hold for the whole group, and each instance
takes the share of its partitions of all partitions. So the shares add up to the limit without anybody asking anybody,
and the share of a partition that nobody owns is nobody's.
"""

from dataclasses import dataclass
from math import ceil

from consumer.core.platform.answer import SERVER_ERROR, TOO_MANY_REQUESTS, UNAVAILABLE, Answered, Exchange, Lost
from consumer.core.platform.concurrency import ConcurrencyLimit
from consumer.core.platform.rate_limit import RateLimit
from consumer.core.policy import Policies, RatePolicy
from consumer.core.terms import AT_ONCE, NEVER, Now, Ticks

CONGESTED = frozenset({TOO_MANY_REQUESTS, UNAVAILABLE})
"""The former of one campaign says nothing about the others: two of them have to be told, before all have less."""

SEVERAL = 2
"""So many campaigns have to be told."""

MOST_LOWERED = 1_000
"""Campaigns whose lowered limit is remembered while nothing of them waits; the rest start at their maximum again."""


@dataclass(frozen=True, slots=True)
class _Rates:
    """The limits by time of everybody, or of one campaign."""

    policy: RatePolicy
    requests: RateLimit | None
    contacts: RateLimit | None

    def free_at(self, now: Now) -> Ticks:
        requests = AT_ONCE if self.requests is None else self.requests.free_at(now)
        return requests if self.contacts is None else max(requests, self.contacts.free_at(now))

    def take(self, contacts: int, now: Now) -> None:
        if self.requests is not None:
            self.requests.take(1, now)
        if self.contacts is not None:
            self.contacts.take(contacts, now)

    def share(self, share: float, now: Now) -> None:
        if self.requests is not None:
            self.requests.change((self.policy.requests_per_second or 0.0) * share, now)
        if self.contacts is not None:
            self.contacts.change((self.policy.contacts_per_second or 0.0) * share, now)


class DeliveryLimits:
    """One for the process."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self.concurrency = self._concurrency(policies.max_concurrency)
        self._of: dict[int, ConcurrencyLimit] = {}
        self._rates = _rates(policies.rate)
        self._rates_of: dict[int, _Rates] = {
            campaign_id: rates
            for campaign_id, policy in policies.campaigns.items()
            if (rates := _rates(policy.rate)) is not None
        }
        self._shared: tuple[int, int] | None = None
        """How many partitions are ours, and of how many."""
        self._told: dict[int, Ticks] = {}
        """When campaigns had their first 429 since something of theirs went well that began later."""
        self._went_well_at: Ticks = AT_ONCE
        """When the latest of those requests began that went well."""
        self._throttled: set[int] = set()
        """Those who were told since the limit of all was lowered last, and not by themselves."""
        self._by_themselves: set[int] = set()
        """Those who are told again although others go well: they have too much of their own, whatever is in flight."""
        self._blamed: set[int] = set()
        """Those for whom the limit of all was lowered, none of whom has gone well since."""
        self._before: tuple[int, int] | None = None
        """How that limit stood before it was lowered for them."""

    def _concurrency(self, maximum: int) -> ConcurrencyLimit:
        minimum = self._policies.min_concurrency if self._policies.adaptive_concurrency else maximum
        return ConcurrencyLimit(maximum=maximum, minimum=minimum)

    # ---------------------------------------------------------------- in flight

    @property
    def for_others(self) -> int:
        """How many sends that are not immediate may be in flight at once: some slots are kept for those that are.

        Where the platform takes less, fewer are kept, in proportion: of two slots not four.
        """
        return self._all_but(self._policies.reserved_concurrency)

    @property
    def for_immediate(self) -> int:
        """How many sends that are not of urgent topics may be in flight at once: half of those slots are for these alone.

        Without that, immediate events of other topics that hang would have them all.
        """
        if not self._policies.urgent_topics:
            return self.concurrency.current
        return self._all_but(self._policies.reserved_concurrency / 2)

    def _all_but(self, reserved: float) -> int:
        current, maximum = self.concurrency.current, self.concurrency.maximum
        return max(1, current - ceil(reserved * current / maximum))

    def of(self, campaign_id: int) -> ConcurrencyLimit:
        """Return the limit of a campaign's requests in flight."""
        limit = self._of.get(campaign_id)
        if limit is None:
            limit = self._of[campaign_id] = self._concurrency(self._policies.of(campaign_id).max_concurrency)
        return limit

    def forget(self, campaign_id: int) -> None:
        """Nothing of a campaign waits any more. What it has taught us is kept for a while."""
        self._forget_throttled(campaign_id)
        limit = self._of.get(campaign_id)
        if limit is None:
            return
        if limit.current == limit.maximum:
            del self._of[campaign_id]
        elif len(self._of) > MOST_LOWERED:
            del self._of[next(iter(self._of))]

    def ended(
        self, campaign_id: int, exchange: Exchange, *, started_at: Ticks, in_flight: int, of_campaign: int, now: Now
    ) -> None:
        """A request came to its end, while so many (it included) were in flight: of all, and of its campaign."""
        answer = exchange.answer
        if not isinstance(answer, Answered | Lost) or exchange.started_at is None:
            return
        own = self.of(campaign_id)
        if isinstance(answer, Lost) or (answer.status >= SERVER_ERROR and answer.status not in CONGESTED):
            own.congested(
                started_at=started_at, now=now
            )  # it must not keep its slots; whether all fail is the breaker's
            return
        if answer.status in CONGESTED:
            own.congested(started_at=started_at, now=now)
            if answer.status == TOO_MANY_REQUESTS:
                self._throttle(campaign_id, started_at, now)
            else:
                self._too_much_of_all(started_at, now)
        else:
            self._went_well(campaign_id, started_at)
            seconds = exchange.finished_at - exchange.started_at
            own.succeeded(seconds=seconds, started_at=started_at, in_flight=of_campaign, now=now)
            reserved = self.concurrency.current - self.for_others
            self.concurrency.succeeded(
                seconds=seconds, started_at=started_at, in_flight=in_flight, reserved=reserved, now=now
            )

    def _throttle(self, campaign_id: int, started_at: Ticks, now: Now) -> None:
        """A campaign was told "too many". That several were says that it is everybody's, and that others go well that it is not."""
        if self._went_well_at >= self._told.setdefault(campaign_id, now.steady):
            self._by_themselves.add(campaign_id)
            self._throttled.discard(campaign_id)
            if self._before is not None and len(self._blamed - self._by_themselves) < SEVERAL:
                self.concurrency.restore(self._before)
                self._blamed, self._before = set(), None
        else:
            self._throttled.add(campaign_id)
            if len(self._throttled) >= SEVERAL:
                self._blame(started_at, now)

    def _blame(self, started_at: Ticks, now: Now) -> None:
        """Lower the limit of all for those who were told. They have no less than the others: their own limits may rise again.

        Else each would stay where it was told, and all together far below what the platform takes.
        """
        self._before = self._before or self.concurrency.standing
        self._blamed |= self._throttled
        for campaign_id in self._throttled:
            if (limit := self._of.get(campaign_id)) is not None:
                limit.forget_ceiling()
        self._too_much_of_all(started_at, now)

    def _too_much_of_all(self, started_at: Ticks, now: Now) -> None:
        self._throttled.clear()
        self.concurrency.congested(started_at=started_at, now=now)

    def _went_well(self, campaign_id: int, started_at: Ticks) -> None:
        """A request went well. What began before its campaign was told says nothing of that."""
        self._went_well_at = max(self._went_well_at, started_at)
        if started_at < self._told.get(campaign_id, NEVER):
            return
        self._forget_throttled(campaign_id)
        if campaign_id in self._blamed:
            self._blamed, self._before = set(), None

    def _forget_throttled(self, campaign_id: int) -> None:
        self._told.pop(campaign_id, None)
        self._throttled.discard(campaign_id)
        self._by_themselves.discard(campaign_id)

    # ---------------------------------------------------------------- by time

    def share(self, own: int, of_all: int, now: Now) -> None:
        """So many of all partitions are ours from now on; where rates hold for each instance, that changes nothing."""
        if not self._policies.rates_of_group or of_all <= 0 or self._shared == (own, of_all):
            return
        self._shared = (own, of_all)
        share = min(1.0, own / of_all)
        for rates in (self._rates, *self._rates_of.values()):
            if rates is not None:
                rates.share(share, now)

    def free_at(self, now: Now) -> Ticks:
        """Return when anything may start at the earliest, as far as rates go; that may be over."""
        return AT_ONCE if self._rates is None else self._rates.free_at(now)

    def campaign_free_at(self, campaign_id: int, now: Now) -> Ticks:
        """Return when a request of a campaign may start at the earliest, as far as its own rates go."""
        rates = self._rates_of.get(campaign_id) if self._rates_of else None
        return AT_ONCE if rates is None else rates.free_at(now)

    def started(self, campaign_id: int, contacts: int, now: Now) -> None:
        """A request of so many contacts starts."""
        if self._rates is not None:
            self._rates.take(contacts, now)
        if self._rates_of and (rates := self._rates_of.get(campaign_id)) is not None:
            rates.take(contacts, now)

    @property
    def requests_per_second(self) -> float | None:
        """The limit of all campaigns together in force here, None without one."""
        rates = self._rates
        return None if rates is None or rates.requests is None else rates.requests.per_second

    @property
    def contacts_per_second(self) -> float | None:
        """The limit of all campaigns together in force here, None without one."""
        rates = self._rates
        return None if rates is None or rates.contacts is None else rates.contacts.per_second


def _rates(policy: RatePolicy) -> _Rates | None:
    requests, contacts = policy.requests_per_second, policy.contacts_per_second
    if requests is None and contacts is None:
        return None
    return _Rates(
        policy,
        None if requests is None else RateLimit(requests),
        None if contacts is None else RateLimit(contacts),
    )

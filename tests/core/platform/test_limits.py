"""The limits in force: what is shared by the group adds up, and one campaign's trouble is its own."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.answer import Answered, Exchange
from consumer.core.platform.limits import MOST_LOWERED, DeliveryLimits
from consumer.core.policy import CampaignPolicy, Policies, RatePolicy
from consumer.core.terms import NEVER, Instant
from tests.core.makers import at


def ended(limits: DeliveryLimits, campaign: int, status: int, *, time: float, began: float | None = None) -> None:
    exchange = Exchange(
        answer=Answered(status=status, retry_after_seconds=None, body=b"{}"),
        started_at=Instant(at(time).wall - 0.05),
        finished_at=at(time).wall,
    )
    started_at = at(time if began is None else began).steady
    limits.ended(campaign, exchange, started_at=started_at, in_flight=8, of_campaign=8, now=at(time))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(0, 5))
def test_the_shares_of_all_instances_and_of_nobody_add_up_to_the_limit(owned: list[int], unowned: int) -> None:
    of_all = sum(owned) + unowned
    policies = Policies(rate=RatePolicy(requests_per_second=120.0, contacts_per_second=6_000.0))
    requests = contacts = 0.0
    for own in owned:
        limits = DeliveryLimits(policies)
        limits.share(own, of_all, at(0))
        if of_all:
            requests += limits.requests_per_second or 0.0
            contacts += limits.contacts_per_second or 0.0
    if of_all:
        assert abs(requests - 120.0 * sum(owned) / of_all) < 1e-6
        assert abs(contacts - 6_000.0 * sum(owned) / of_all) < 1e-3


def test_an_instance_without_partitions_starts_nothing() -> None:
    limits = DeliveryLimits(Policies(rate=RatePolicy(requests_per_second=10.0)))
    limits.share(0, 4, at(0))
    assert limits.free_at(at(0)) == NEVER
    limits.share(4, 4, at(1))
    assert limits.free_at(at(1)) <= at(1).steady


def test_rates_of_each_instance_are_not_shared() -> None:
    limits = DeliveryLimits(Policies(rate=RatePolicy(requests_per_second=10.0), rates_of_group=False))
    limits.share(1, 4, at(0))
    assert limits.requests_per_second == 10.0


def test_a_campaigns_rates_are_shared_as_well() -> None:
    slow = CampaignPolicy(rate=RatePolicy(requests_per_second=8.0))
    limits = DeliveryLimits(Policies(campaigns={7: slow}))
    limits.share(1, 4, at(0))
    limits.started(7, 1, at(0))
    assert limits.campaign_free_at(7, at(0)) == at(0.5).steady
    assert limits.campaign_free_at(8, at(0)) <= at(0).steady


def test_one_campaign_that_is_told_too_many_lowers_its_own_limit_and_two_lower_that_of_all() -> None:
    limits = DeliveryLimits(Policies())
    for second in range(5):
        ended(limits, 1, 429, time=float(second))
    assert limits.of(1).current < 8
    assert (limits.of(2).current, limits.concurrency.current) == (8, 32)
    ended(limits, 2, 429, time=5.0)
    assert limits.concurrency.current < 32


def test_two_that_are_told_together_rise_again_and_do_not_stay_where_they_were_told() -> None:
    limits = DeliveryLimits(Policies())
    ended(limits, 1, 429, time=1.0)
    ended(limits, 2, 429, time=1.01)
    assert (limits.of(1).current, limits.concurrency.current) == (6, 24)
    for tenth in range(13):  # 6 requests without trouble in full use, and 7
        ended(limits, 1, 200, time=2.0 + tenth / 10)
    assert limits.of(1).current == 8


def test_what_began_before_a_429_and_ends_well_after_it_does_not_undo_it() -> None:
    limits = DeliveryLimits(Policies())
    ended(limits, 1, 429, time=1.0)
    ended(limits, 1, 200, time=1.02, began=0.97)
    ended(limits, 2, 429, time=1.03)
    assert limits.concurrency.current == 24, "the platform has too much, whosever it is"
    ended(limits, 1, 429, time=2.0)
    ended(limits, 1, 200, time=2.06, began=2.01)
    ended(limits, 2, 429, time=2.07)
    assert limits.concurrency.current == 24, "each has too much of its own"


def test_what_was_lowered_for_campaigns_that_have_too_much_of_their_own_is_as_it_was() -> None:
    limits = DeliveryLimits(Policies())
    for hundredth in range(20):  # both are told again and again, before anybody else is answered
        ended(limits, 1 + hundredth % 2, 429, time=1.0 + hundredth / 100)
    assert limits.concurrency.current < 5
    ended(limits, 3, 200, time=2.0, began=1.5)
    ended(limits, 1, 429, time=2.1)
    assert limits.concurrency.current == 32, "one of two alone proves nothing of all"
    ended(limits, 2, 429, time=2.2)
    ended(limits, 1, 429, time=2.3)
    assert (limits.concurrency.current, limits.of(3).current, limits.of(1).current) == (32, 8, 1)


def test_where_those_go_well_for_whom_it_was_lowered_it_was_everybodys() -> None:
    limits = DeliveryLimits(Policies())
    ended(limits, 1, 429, time=1.0)
    ended(limits, 2, 429, time=1.01)
    ended(limits, 1, 200, time=1.1, began=1.05)
    ended(limits, 2, 200, time=1.1, began=1.05)
    for second in range(2, 5):
        ended(limits, 1, 429, time=second)
        ended(limits, 3, 200, time=second + 0.2, began=second + 0.1)
    assert limits.concurrency.current == 24


def test_a_503_lowers_the_limit_of_all() -> None:
    limits = DeliveryLimits(Policies())
    ended(limits, 1, 503, time=1.0)
    assert limits.concurrency.current == 24


def test_an_error_lowers_its_campaigns_limit_alone() -> None:
    """Whether all campaigns fail is the breaker's business."""
    limits = DeliveryLimits(Policies())
    ended(limits, 1, 500, time=1.0)
    assert (limits.of(1).current, limits.of(2).current, limits.concurrency.current) == (6, 8, 32)


def test_limits_that_do_not_follow_the_platform_stay() -> None:
    limits = DeliveryLimits(Policies(adaptive_concurrency=False))
    for second in range(5):
        ended(limits, second, 503, time=float(second))
    assert limits.concurrency.current == 32


def test_what_a_campaign_has_taught_is_kept_while_nothing_of_it_waits_and_is_bounded() -> None:
    limits = DeliveryLimits(Policies())
    ended(limits, 1, 429, time=1.0)
    lowered = limits.of(1).current
    limits.forget(1)
    assert limits.of(1).current == lowered
    for campaign in range(2, 3 * MOST_LOWERED):
        ended(limits, campaign, 429, time=float(campaign))
        limits.forget(campaign)
    assert len(limits._of) <= MOST_LOWERED + 1  # noqa: SLF001  # what is remembered is a matter of memory

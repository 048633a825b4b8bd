"""Promises about the campaigns that have a label of their own in metrics: few, the right ones, and for good."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.outcome import Reason, Status
from consumer.edge.telemetry.campaign_labels import NONE, OTHER, Busiest, CampaignLabels
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.facts import Priority
from tests.edge.support import accept, request, settle, telemetry

MANY = 100_000
COUNTED = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 100)), max_size=300)
"""Campaigns, and what was counted of them at a time."""


@given(COUNTED, st.integers(1, 10))
def test_the_busiest_are_counted_in_bounded_memory_and_too_low_by_a_known_share(
    counted: list[tuple[int, int]], capacity: int
) -> None:
    busy, true = Busiest(capacity), Counter[int]()
    for campaign, count in counted:
        busy.add(campaign, count)
        true[campaign] += count
        assert len(busy) <= 2 * capacity
    for campaign, count in true.items():
        assert count - true.total() / capacity <= busy.count(campaign) <= count


@given(COUNTED, st.lists(st.integers(1, 40), unique=True, max_size=8), st.integers(0, 12), st.integers(1, 50))
def test_a_campaign_keeps_its_label_and_no_more_than_the_places_are_given(
    counted: list[tuple[int, int]], own: list[int], places: int, every: int
) -> None:
    labels, given_out = CampaignLabels(places=places, own=own), dict[int, str]()
    for number, (campaign, count) in enumerate(counted):
        label = labels.of(campaign, count=count)
        assert label == given_out.setdefault(campaign, label) or given_out[campaign] == OTHER
        given_out[campaign] = label
        if number % every == 0:
            labels.look()
    named = {label for label in given_out.values() if label != OTHER}
    assert len(named | {str(campaign) for campaign in own[:places]}) <= places
    for campaign in own[:places]:
        assert labels.known(campaign) == str(campaign), "it has settings of its own"


def test_a_service_of_few_campaigns_has_a_label_for_each_at_once() -> None:
    labels = CampaignLabels(places=20)
    assert [labels.of(campaign, count=1) for campaign in range(1, 11)] == [str(number) for number in range(1, 11)]


def test_the_places_that_are_left_go_to_the_busiest_of_a_hundred_thousand() -> None:
    labels = CampaignLabels(places=20, own=[7])
    heavy = range(MANY, MANY + 30)
    for campaign in range(1, MANY):
        labels.of(campaign, count=1)
        labels.of(heavy[campaign % 30], count=5 + campaign % 30)
    for _ in range(8):
        labels.look()
        for campaign in heavy:
            labels.of(campaign, count=campaign - MANY)
    named = {campaign for campaign in range(1, MANY + 30) if labels.known(campaign) != OTHER}
    assert len(named) == 20
    assert 7 in named
    assert named >= {*heavy[-10:]}


def test_a_look_gives_half_of_what_is_left_so_that_later_campaigns_find_a_place() -> None:
    labels, found = CampaignLabels(places=20), list[int]()
    for _ in range(5):
        for campaign in range(1, 41):
            labels.of(campaign, count=campaign)
        labels.look()
        found.append(sum(labels.known(campaign) != OTHER for campaign in range(1, 41)))
    assert found == [15, 18, 19, 20, 20]


@pytest.mark.parametrize("places", [0, 1])
def test_without_places_everything_is_other(places: int) -> None:
    labels = CampaignLabels(places=places, own=[421][:places])
    assert labels.of(7, count=1) == OTHER
    labels.look()
    assert labels.known(7) == OTHER


def test_an_id_in_a_record_that_is_no_event_takes_no_place() -> None:
    told = telemetry(places=20)
    settle(told, Status.INVALID, Reason.SCHEMA, count=1, campaign=13)
    assert told.metrics.campaign_results.totals("campaign") == {OTHER: 1}
    assert CampaignLabels(places=20).known(None) == NONE


def series(told: Telemetry) -> int:
    """How many series have a label `campaign`."""
    return sum("campaign" in sample.labels for family in told.metrics.registry.collect() for sample in family.samples)


def test_series_by_campaign_are_bounded_whatever_the_number_of_campaigns() -> None:
    told, counts = telemetry(places=5), list[int]()
    for campaigns in (100, 100, 100, 1000):  # by the third, all labels are given
        for campaign in range(1, campaigns):
            sent = request(campaign, priority=Priority.NORMAL, contacts=1)
            told.send_posted(sent, waited_seconds=None)
            accept(told, sent, 1.0)
            settle(told, Status.ACCEPTED, None, count=1, campaign=campaign)
        told.summary()
        counts.append(series(told))
    assert counts[2] == counts[3]
    assert len(told.metrics.requests.totals("campaign")) <= 6
    assert sum(told.metrics.requests.totals("campaign").values()) == 3 * 99 + 999, "what has no label counts in `other`"
    assert told.metrics.requests.totals("campaign") == told.metrics.campaign_results.totals("campaign")

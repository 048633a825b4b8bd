"""Numbers that no country has are refused before they cost a request, where a campaign wants that."""

import pytest

from consumer.core.intake.numbers import is_possible
from consumer.core.outcome import Reason, Status
from consumer.core.policy import CampaignPolicy, Policies
from tests.core.runner import Runner

CHECKED = Policies(campaigns={1: CampaignPolicy(check_numbers=True)})
REFUSED = (Status.REJECTED, Reason.CONTACT_REFUSED, 0)
FINE = (Status.ACCEPTED, None, 1)


@pytest.mark.parametrize(
    "phone",
    ["+34600111222", "+14155550132", "+4915112345678", "+491511234567", "+442079460018", "+390612345678",
     "+5511987654321", "+79161234567", "+8613800138000", "+85291234567", "+37120000000", "+883510000000000"],
)  # fmt: skip
def test_a_number_that_a_country_may_have_is_possible(phone: str) -> None:
    assert is_possible(phone)


@pytest.mark.parametrize(
    "phone",
    ["+3460011122", "+346001112223", "+1415555013", "+15550132", "+141555501323", "+9991234567890", "+0034600111", "+21012345678"],
)  # fmt: skip
def test_too_many_digits_too_few_or_no_such_country_is_impossible(phone: str) -> None:
    assert not is_possible(phone)


def test_only_campaigns_that_want_it_are_looked_at_and_only_their_e164_numbers() -> None:
    runner = Runner(policies=CHECKED)
    short = "+3460011122"
    runner.feed(
        runner.event(phone=short),
        runner.event(phone="+34600111222"),
        runner.event(contact={"phoneE164": short, "externalCode": "cust-1"}),
        runner.event(contact={"phoneNumber": "60011122", "countryCode": "34"}),
        runner.event(contact={"externalCode": "cust-1"}),
        runner.event(phone=short, campaignId=2),
    )
    runner.run()
    verdicts = [runner.results[0, offset] for offset in range(6)]
    told = [(verdict.status, verdict.reason, verdict.attempts) for verdict in verdicts]
    assert told == [REFUSED, FINE, REFUSED, FINE, FINE, FINE]
    assert verdicts[0].dispatched_at is None


def test_who_is_no_test_recipient_is_cancelled_whatever_the_number() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(check_numbers=True), test_recipients=("+34600111222",)))
    runner.feed(runner.event(phone="+3460011122"), runner.event(phone="+34600111222"))
    runner.run()
    assert runner.results[0, 0].reason is Reason.NOT_A_TEST_RECIPIENT
    assert runner.results[0, 1].status is Status.ACCEPTED


def test_a_list_of_test_recipients_alone_makes_nobody_look_at_numbers() -> None:
    runner = Runner(policies=Policies(test_recipients=("+3460011122",)))
    runner.feed(runner.event(phone="+3460011122"))
    runner.run()
    assert runner.results[0, 0].status is Status.ACCEPTED

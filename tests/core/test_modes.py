"""Dry runs and test recipients: who is left out, how it ends for them, and what nobody learns from it."""

from typing import Any

import orjson
import pytest

from consumer.core.journal.entries import Intent
from consumer.core.outcome import Reason, Status
from consumer.core.policy import CampaignPolicy, Policies, RatePolicy
from tests.core.intake.test_admit import after_a_crash
from tests.core.intake.wild_events import WildRecord
from tests.core.makers import EPOCH, P0, at
from tests.core.runner import Runner

WINDOW = CampaignPolicy(window_seconds=2.0, max_contacts=2)
DRY = Policies(default=WINDOW, dry_run=True)
FINE = (Status.ACCEPTED, None)
DRY_RUN = (Status.CANCELLED, Reason.DRY_RUN)
LEFT_OUT = (Status.CANCELLED, Reason.NOT_A_TEST_RECIPIENT)


def settled(runner: Runner, offset: int) -> tuple[Status, Reason | None]:
    verdict = runner.results[0, offset]
    return verdict.status, verdict.reason


# ------------------------------------------------------------------------------------------------------------- dry run


def people(runner: Runner, count: int) -> list[dict[str, Any]]:
    return [runner.event(phone=f"+346000{number:05d}") for number in range(count)]


def test_a_dry_run_waits_for_windows_and_limits_and_makes_no_request() -> None:
    runner = Runner(policies=Policies(default=WINDOW, dry_run=True, rate=RatePolicy(requests_per_second=1.0)))
    runner.feed(*people(runner, 7))
    runner.run(until=1.0)
    early = len(runner.results)
    runner.run()
    assert 0 < early < 7
    assert {settled(runner, offset) for offset in range(7)} == {DRY_RUN}
    assert runner.results[0, 6].completed_at >= EPOCH + 3.0  # the fourth request of one a second
    assert (runner.requests, runner.said(Intent)) == ([], [])
    assert runner.pipeline.lanes[P0].watermark.position == 7
    assert runner.pipeline.queue.in_flight == runner.pipeline.queue.queued == 0


def test_a_dry_run_learns_nothing_about_the_platform() -> None:
    runner = Runner(policies=DRY)
    before = runner.pipeline.access.memory(at(0.0))
    runner.feed(*people(runner, 5))
    runner.run()
    access = runner.pipeline.access
    assert (access.is_contacted, access.since, access.memory(at(runner.time))) == (False, None, before)


def test_who_may_have_been_texted_before_the_dry_run_is_in_doubt() -> None:
    runner = Runner(policies=DRY)
    runner.time = 10.0
    after_a_crash(runner)
    runner.feed(runner.event(), first=0)
    runner.run()
    assert settled(runner, 0) == (Status.IN_DOUBT, Reason.OWNER_LOST)


def test_what_was_cancelled_goes_out_when_it_is_resent_for_real_and_not_by_its_old_name() -> None:
    runner = Runner(policies=DRY)
    event = runner.event()
    runner.feed(event)
    runner.run()
    journal = runner.journal
    real = Runner(policies=Policies(default=WINDOW), time=runner.time)
    real.journal = journal
    real.pipeline.drop(P0)
    lane = real.take(P0, start=1, process="successor")
    resent = WildRecord(value=orjson.dumps(event), offset=2, headers=[("resend-id", b"r1")])
    real.feed(event)
    real.pipeline.fetched(lane, [resent], at(real.time))
    real.run()
    assert settled(real, 1) == (Status.DUPLICATE, Reason.REPEATED)
    assert settled(real, 2) == FINE


def test_a_dry_run_with_a_large_buffer_settles_a_part_in_each_turn() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=1.0, max_contacts=500), dry_run=True))
    runner.feed(*people(runner, 2_000))
    runner.pipeline.flush_windows = True
    runner.turn()
    left = runner.pipeline.queue.queued
    runner.run()
    assert left == 3
    assert len(runner.results) == 2_000


# ----------------------------------------------------------------------------------------------------- test recipients


@pytest.mark.parametrize(
    "listed, contact, expected",
    [
        ("+34600111222", {"phoneE164": "+34600111222"}, FINE),
        ("0034 600 111 222", {"phoneE164": "+34600111222"}, FINE),
        ("+34600111222", {"phoneNumber": "+34 600-111-222"}, FINE),
        ("+34600111222", {"phoneNumber": "600 111 222", "countryCode": "34"}, FINE),
        ("+34600111222", {"phoneNumber": "600111222"}, FINE),
        ("600111222", {"phoneE164": "+34600111222"}, FINE),
        ("+34600111222", {"phoneE164": "+34600111223"}, LEFT_OUT),
        ("+34600111222", {"phoneE164": "+34610111222"}, LEFT_OUT),
        ("+34600111222", {"phoneE164": "+491700111222"}, LEFT_OUT),
        ("Cust-1", {"externalCode": "cust-1"}, FINE),
        ("cust-1", {"phoneE164": "+34600111222", "externalCode": "CUST-1"}, FINE),
        ("cust-1", {"phoneE164": "+34600111222"}, LEFT_OUT),
        ("cust-1", {"externalCode": "cust-2"}, LEFT_OUT),
        ("600111222", {"externalCode": "600111222"}, FINE),
    ],
)
def test_nobody_but_test_recipients_is_texted(
    listed: str, contact: dict[str, str], expected: tuple[Status, Reason | None]
) -> None:
    runner = Runner(policies=Policies(default=WINDOW, test_recipients=("somebody", listed)))
    runner.feed(runner.event(contact=contact))
    runner.run()
    assert settled(runner, 0) == expected
    assert len(runner.requests) == (1 if expected == FINE else 0)


def test_without_a_list_everybody_is_texted() -> None:
    runner = Runner(policies=Policies(default=WINDOW))
    runner.feed(*people(runner, 3))
    runner.run()
    assert {settled(runner, offset) for offset in range(3)} == {FINE}


def test_the_listed_phones_are_in_no_text_about_the_policies() -> None:
    assert "600111222" not in repr(Policies(test_recipients=("+34600111222",)))

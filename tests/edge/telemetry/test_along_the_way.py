"""What metrics say of an event's way: how long it waits where, and why its window closed."""

from collections.abc import Sequence
from typing import Any

import pytest

from consumer.core.platform.answer import Answered
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.window import CloseWhy
from tests.core.makers import P0
from tests.edge.telemetry.told import OK, Told, answering

NORMAL, IMMEDIATE = {"priority": "normal"}, {"priority": "immediate"}
WINDOW_SECONDS = 2.0


def closed(told: Told) -> dict[str, float]:
    """How many windows have closed, by why, where any has."""
    counts = {why: told.value("campaign_window_age_seconds_count", {"why": why}) for why in CloseWhy}
    return {why: count for why, count in counts.items() if count}


def small(**changes: Any) -> Told:
    """A process whose windows take little."""
    return Told(policies=Policies(default=CampaignPolicy(window_seconds=WINDOW_SECONDS, **changes)))


def aged() -> Told:
    told = small()
    told.people("+34600000001", "+34600000002")
    return told


def full() -> Told:
    told = small(max_contacts=2)
    told.people("+34600000001", "+34600000002")
    return told


def near_a_deadline() -> Told:
    told = small()
    told.people("+34600000001", expires_in=2.5)
    return told


def urgent() -> Told:
    told = small()
    told.people("+34600000001", priority="immediate")
    return told


def hurried() -> Told:
    """An immediate event of the same person makes the one before it due, and goes out after it."""
    told = small()
    told.feed(told.event(phone="+34600000001"), told.event(phone="+34600000001", priority="immediate"))
    told.run()
    return told


def stopping() -> Told:
    told = small()
    told.feed(told.event(phone="+34600000001"))
    told.pipeline.flush_windows = True
    told.run()
    return told


WHYS: Sequence[tuple[Any, dict[str, float], float]] = (
    (aged, {"age": 1}, WINDOW_SECONDS),
    (full, {"full": 1}, 0.0),
    (near_a_deadline, {"deadline": 1}, 1.5),
    (urgent, {"immediate": 1}, 0.0),
    (hurried, {"immediate": 2}, 0.0),
    (stopping, {"shutdown": 1}, 0.0),
)


@pytest.mark.parametrize("story, whys, _seconds", WHYS)
def test_a_window_says_why_it_closed(story: Any, whys: dict[str, float], _seconds: float) -> None:
    assert closed(story()) == whys


@pytest.mark.parametrize("story, whys, seconds", [one for one in WHYS if one[0] is not hurried])
def test_a_window_says_how_old_it_has_become(story: Any, whys: dict[str, float], seconds: float) -> None:
    [why] = whys
    assert story().value("campaign_window_age_seconds_sum", {"why": why}) == pytest.approx(seconds, abs=0.01)


def test_a_window_without_room_for_the_next_body_says_so() -> None:
    told = small(max_bytes=1024)
    for number in range(2):
        code = {"externalCode": f"c{number}", "customFields": {"a": "x" * 600}}
        told.feed(told.event(contact=code))
    told.run()
    assert closed(told) == {"bytes": 1, "age": 1}


def test_the_wait_in_the_queue_runs_from_the_close_to_the_first_byte_once_for_each_send() -> None:
    told = Told(platform=answering(OK, Answered(status=503, body=b"", retry_after_seconds=None)))
    told.people("+34600000009")
    assert told.value("campaign_queue_wait_seconds_count", NORMAL) == 1
    told.people("+34600000001")  # put off, and sent again: its wait was over with the first byte
    assert told.value("campaign_requests_total", {**NORMAL, "campaign": "other"}) == 3
    assert told.value("campaign_queue_wait_seconds_count", NORMAL) == 2
    assert told.value("campaign_queue_wait_seconds_sum", NORMAL) == pytest.approx(0, abs=0.05)


def test_the_wait_goes_on_while_nothing_may_start() -> None:
    told = aged()
    before = told.value("campaign_queue_wait_seconds_sum", NORMAL) or 0.0
    began_at, told.hears = told.time, False  # nobody knows what is held: no request starts
    told.feed(told.event(phone="+34600000003"))
    told.run(until=began_at + 12)
    told.time, told.hears = began_at + 12, True
    told.run()
    assert told.value("campaign_queue_wait_seconds_count", NORMAL) == 2
    waited = (told.value("campaign_queue_wait_seconds_sum", NORMAL) or 0.0) - before
    assert waited == pytest.approx(12 - WINDOW_SECONDS, abs=0.1)


def test_a_send_that_waits_for_a_slot_says_how_long_by_its_priority() -> None:
    told = Told(policies=Policies(default=CampaignPolicy(window_seconds=WINDOW_SECONDS), max_concurrency=1))
    told.people("+34600000009")
    told.feed(
        *(told.event(phone=f"+3460000000{number}", campaignId=number, priority="immediate") for number in range(1, 4))
    )
    told.run()
    assert told.value("campaign_queue_wait_seconds_count", IMMEDIATE) == 3
    assert told.value("campaign_queue_wait_seconds_sum", IMMEDIATE) == pytest.approx(0.05 + 0.1, abs=0.02)


def test_a_checkpoint_says_for_how_long_it_was_due() -> None:
    told = aged()
    count, seconds = (f"campaign_checkpoint_duration_seconds_{end}" for end in ("count", "sum"))
    before = told.value(count, {}) or 0.0
    told.checkpoint()
    assert told.value(count, {}) == before + 1
    told.checkpoint()  # nothing has moved since
    assert told.value(count, {}) == before + 1
    told.sick.add(P0)
    told.people("+34600000003")
    told.checkpoint()
    told.time += 3
    told.heal(P0)
    told.run()
    assert (told.value(seconds, {}) or 0.0) >= 3


def test_what_checkpoints_have_not_said_yet_grows_old_and_what_is_said_does_not() -> None:
    told = aged()
    lane = told.pipeline.lanes[P0]
    told.checkpoint()
    assert lane.covered_at == told.time
    told.time += 3600
    told.checkpoint()
    assert lane.covered_at == told.time, "nothing has moved"
    since = told.time
    told.sick.add(P0)
    told.feed(told.event(phone="+34600000003"))
    for _ in range(3):
        told.time += 5
        told.checkpoint()
    assert lane.covered_at == since

"""Where the events in hand are, as the pipeline counts it: after every step of whatever traffic, each is in one place."""

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.answer import Answered, Unreachable
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Partition
from consumer.service.lag import LagReading
from consumer.service.partitions import Partitions
from consumer.service.status_shape import LagParts
from consumer.service.waiting import WaitingReading, open_requests
from tests.core.counted import CheckedRunner, check
from tests.core.makers import P0, P1, at
from tests.core.operators import Operator
from tests.core.runner import OK, Runner, accepting
from tests.core.test_growth import STAYS, ratio
from tests.core.test_pipeline import _document, moody

POLICIES = Policies(default=CampaignPolicy(window_seconds=1.0, max_contacts=4, max_attempts=4), max_concurrency=3)


def parts_of(runner: Runner, partition: Partition = P0, *, stopped: bool = False, unread: int = 0) -> LagParts:
    """What the status says of a partition, whose log ends so many records behind what was read."""
    lane = runner.pipeline.lanes[partition]
    around = SimpleNamespace(
        log_ends={partition: lane.watermark.position + unread},
        known_done={},
        stopped={partition: "why"} if stopped else {},
        unread=SimpleNamespace(timestamp_ms=lambda *_: None),
    )
    found = LagReading(runner.pipeline, cast("Partitions", around), at(runner.time)).of(lane)
    assert found.parts is not None
    assert all(part >= 0 for part in found.parts.values())  # type: ignore[operator]
    assert sum(found.parts.values()) == found.lag  # type: ignore[arg-type]
    return found.parts


class Traffic:
    """Two partitions, and everything that may happen to what is in hand of them."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.runner = CheckedRunner(policies=POLICIES, platform=moody(seed), partitions=[P0, P1])
        self.operator = Operator(self.runner)
        self.logs: dict[Partition, list[dict[str, Any]]] = {P0: [], P1: []}

    def step(self) -> None:
        dice, runner = self.dice, self.runner
        self.read(dice.choice([P0, P1]), dice.randint(1, 6))
        runner.check()
        runner.run(until=runner.time + dice.choice([0.0, 0.1, 0.5, 5.0]))
        dice.choice([self.hold, self.release, self.cancel, self.fall_ill, self.heal, self.lose, self.rest])()
        runner.check()

    def read(self, partition: Partition, count: int) -> None:
        log, position = self.logs[partition], self.runner.pipeline.lanes[partition].watermark.position
        while len(log) < position + count:
            log.append(_document(self.runner, self.dice, partition))
        self.runner.feed(*log[position : position + count], partition=partition)

    def hold(self) -> None:
        self.operator.hold(self.dice.choice([None, 1, 2]), reject=self.dice.random() < 0.3)

    def release(self) -> None:
        for campaign in (None, 1, 2):
            self.operator.release(campaign)

    def cancel(self) -> None:
        self.operator.cancel(campaign=self.dice.choice([1, 2]))

    def fall_ill(self) -> None:
        self.runner.sick.add(P1)

    def heal(self) -> None:
        self.runner.heal(P1)

    def lose(self) -> None:
        """To a claim, or back to the group; here it is taken over at once."""
        give_up = self.dice.choice([self.runner.pipeline.lose, self.runner.pipeline.drop])
        give_up(P0)
        check(self.runner.pipeline)
        self.runner.results.clear()  # published again by the next owner
        self.runner.take(P0, process=f"owner-{self.runner.time}-{self.dice.random()}")

    def rest(self) -> None:
        self.runner.run(until=self.runner.time + 30)


@given(st.integers(0, 2**32 - 1))
def test_every_event_in_hand_is_counted_in_one_place_after_every_step(seed: int) -> None:
    traffic = Traffic(seed)
    runner = traffic.runner
    for _ in range(25):
        traffic.step()
        for one in (P0, P1):
            parts_of(runner, one, stopped=traffic.dice.random() < 0.2, unread=traffic.dice.choice([0, 7]))
    traffic.release()
    traffic.heal()
    runner.platform = accepting
    runner.run(until=runner.time + 5_000)
    for one in (P0, P1):
        assert set(parts_of(runner, one).values()) == {0}


def held_runner(**policy: Any) -> Runner:
    """A process that has had its first 2xx, with five events that wait."""
    runner = Runner(policies=Policies(default=CampaignPolicy(**policy)))
    runner.feed(runner.event(phone="+34699999999", priority="immediate"))
    runner.run(until=1.0)
    runner.platform = lambda _request: (OK, 1e6)
    runner.feed(*[runner.event(phone=f"+3460000010{index}") for index in range(5)])
    return runner


def test_each_event_is_told_where_it_waits() -> None:
    runner = held_runner(window_seconds=10.0)
    assert parts_of(runner)["in_window"] == 5
    runner.run(until=20.0)
    assert parts_of(runner)["in_flight"] == 5


def test_what_a_hold_keeps_from_starting_is_blocked_and_its_turn_alone_is_not() -> None:
    runner = held_runner(window_seconds=0.0, max_contacts=1, max_concurrency=2)
    runner.turn()
    assert (parts_of(runner)["in_flight"], parts_of(runner)["queued"]) == (2, 3)
    operator = Operator(runner)
    for campaign in (1, None):
        operator.hold(campaign)
        assert (parts_of(runner)["blocked"], parts_of(runner)["queued"]) == (3, 0), campaign
        operator.release(campaign)
    operator.hold(2)
    assert (parts_of(runner)["blocked"], parts_of(runner)["queued"]) == (0, 3)


def test_what_the_platform_turns_away_is_blocked() -> None:
    runner = held_runner(window_seconds=0.0, max_contacts=1)
    for answer in (Answered(status=401, retry_after_seconds=None, body=b"{}"), Unreachable(detail="refused")):
        runner = held_runner(window_seconds=5.0, max_contacts=1, max_concurrency=1)
        runner.platform = lambda _request, answer=answer: (answer, 0.01)  # type: ignore[misc]
        runner.run(until=9.0)
        assert (parts_of(runner)["blocked"] + parts_of(runner)["in_flight"], parts_of(runner)["queued"]) == (5, 0)


def test_before_the_first_contact_everything_is_blocked() -> None:
    runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=0.0, max_contacts=1)))
    runner.platform = lambda _request: (OK, 1e6)
    runner.feed(*[runner.event(phone=f"+3460000010{index}") for index in range(3)])
    runner.turn()
    runner.turn()
    assert (parts_of(runner)["in_flight"], parts_of(runner)["blocked"]) == (1, 2)


def test_what_waits_behind_its_person_is_queued_and_blocked_with_its_campaign() -> None:
    runner = held_runner(window_seconds=0.0)
    runner.turn()
    runner.feed(*[runner.event(phone="+34600000100") for _ in range(4)])
    assert parts_of(runner)["queued"] == 4
    Operator(runner).hold(1)
    assert parts_of(runner)["blocked"] == 4


def test_a_stopped_partition_shows_all_that_is_not_on_its_way_as_blocked() -> None:
    runner = held_runner(window_seconds=0.0, max_contacts=1, max_concurrency=2)
    runner.turn()
    assert parts_of(runner, unread=9)["backlog"] == 9
    parts = parts_of(runner, stopped=True, unread=9)
    assert (parts["backlog"], parts["blocked"], parts["in_flight"]) == (0, 12, 2)


def test_a_partition_that_is_unsure_of_its_owner_blocks_its_own_events_alone() -> None:
    runner = Runner(partitions=[P0, P1], policies=Policies(default=CampaignPolicy(window_seconds=0.0)))
    runner.feed(runner.event(phone="+34699999999", priority="immediate"))
    runner.run(until=1.0)
    runner.sick.add(P1)
    for index, partition in enumerate([P0, P1]):
        runner.feed(runner.event(phone=f"+3460000010{index}"), partition=partition)
    runner.run(until=5.0)
    assert parts_of(runner, P1)["blocked"] == 1
    assert set(parts_of(runner, P0).values()) == {0}


def test_what_is_given_up_after_its_request_did_not_wait_any_more() -> None:
    runner = held_runner(window_seconds=0.0, max_contacts=1, max_concurrency=1, max_attempts=1)
    runner.platform = lambda _request: (Answered(status=500, retry_after_seconds=None, body=b"{}"), 1.0)
    runner.run(until=1.5)
    assert runner.pipeline.queue.queued == 3
    check(runner.pipeline)


def test_everything_is_blocked_while_nobody_knows_what_operators_hold() -> None:
    runner = held_runner(window_seconds=0.0, max_contacts=1)
    runner.hears = False
    runner.time += 60.0
    runner.turn()
    assert (parts_of(runner)["blocked"], parts_of(runner)["in_flight"]) == (5, 0)


@pytest.mark.parametrize("stage", ["in_window", "blocked", "in_flight"])
def test_a_scrape_goes_through_no_event_however_many_wait(stage: str) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = Runner(policies=Policies(default=CampaignPolicy(window_seconds=10.0, max_contacts=100_000)))
        runner.feed(runner.event(phone="+34699999999", priority="immediate"))
        runner.run(until=1.0)
        runner.platform = lambda _request: (OK, 1e6)
        if stage == "blocked":
            Operator(runner).hold(1)
        runner.feed(*[runner.event(phone=f"+346{index:08}") for index in range(many)])
        runner.run(until=5.0 if stage == "in_window" else 30.0)
        assert parts_of(runner)[stage] == many  # type: ignore[literal-required]

        def scrape() -> None:
            parts_of(runner)
            reading = WaitingReading(runner.pipeline, at(runner.time))
            assert reading.oldest()[stage] is not None  # type: ignore[literal-required]
            assert reading.campaigns()[0]["events"] == many
            WaitingReading(runner.pipeline, at(runner.time)).windows()
            open_requests(runner.pipeline, at(runner.time))

        return scrape

    assert ratio(case, 300) < STAYS

"""What an event, a turn or a probe costs as more waits: counted in steps of the interpreter, not in seconds.

Each case is played twice, with so many events and with twice as many. `GROWS_WITH_ITS_WORK` is for what is done for
each event: twice as many may cost twice as much. `STAYS` is for one turn, or one event, whatever waits beside it.
"""

import sys
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import orjson
import pytest

from consumer.core.journal.offset_ranges import OffsetRanges
from consumer.core.person import person_of
from consumer.core.platform.answer import Answer, Answered, Unreachable
from consumer.core.platform.answer_body import FEWEST_ITEMS, RequestMembers, read_accepted
from consumer.core.policy import CampaignPolicy, Policies, WireNames
from consumer.core.terms import Offset, Partition
from consumer.service.progress import STILL_SECONDS, Progress, Surroundings
from tests.core.makers import P0, at, make_event
from tests.core.operators import Operator
from tests.core.runner import OK, Request, Runner

GROWS_WITH_ITS_WORK = 2.3
"""Twice, and a logarithm."""

STAYS = 1.15
"""As before, and a logarithm."""

PATIENT = Policies(default=CampaignPolicy(window_seconds=1e5, max_contacts=10))
LONE = Policies(default=CampaignPolicy(window_seconds=0.0, max_contacts=1))


def steps(act: Callable[[], Any]) -> int:
    """Return how many instructions of Python an act takes, and how many calls into C."""
    counted = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal counted
        if event == "call":
            frame.f_trace = trace  # 3.13 begins to count when it has both this and the next; before, one is enough
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # noqa: SLF001  # 3.12 asks at the next line whether anybody wants to count
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return counted


def ratio(case: Callable[[int], Callable[[], Any]], many: int) -> float:
    """Return how much more an act takes where twice as many wait; `case` prepares, and returns the act."""
    few = steps(case(many))
    return steps(case(2 * many)) / few


def test_steps_are_counted_on_every_python_from_the_first_call_on() -> None:
    assert 1.9 < ratio(lambda many: lambda: [number + 1 for number in range(many)], 400) < 2.1


def silent(_request: Request) -> tuple[Answer, float]:
    """A platform that takes its time: what is out stays out."""
    return OK, 1e6


def started(policies: Policies, *, partitions: int = 1) -> Runner:
    """A process that has had its first 2xx, with a platform that answers nothing more."""
    runner = Runner(policies=policies, partitions=[Partition("contact-events", number) for number in range(partitions)])
    runner.feed(runner.event(phone="+34699999999", priority="immediate"))
    runner.run(until=1.0)
    runner.platform = silent
    return runner


def phone(index: int) -> str:
    return f"+346{index:08}"


# ------------------------------------------------------------------------------------------------- persons and urgency


def test_events_of_one_person_cost_the_same_each_however_their_urgency_alternates() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(PATIENT)
        events = [runner.event(priority=("normal", "immediate")[index % 2]) for index in range(many)]
        return lambda: runner.feed(*events)

    assert ratio(case, 150) < GROWS_WITH_ITS_WORK


@pytest.mark.parametrize("policies", [LONE, PATIENT], ids=["in queued sends", "in open windows"])
def test_an_urgent_event_finds_what_it_waits_for_without_a_search(policies: Policies) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(policies)
        runner.feed(*[runner.event(phone=phone(index)) for index in range(many)])
        runner.run(until=2.0)
        urgent = [runner.event(phone=phone(many - 1 - index), priority="immediate") for index in range(20)]
        return lambda: runner.feed(*urgent)

    assert ratio(case, 200) < STAYS


def test_a_batch_costs_the_same_however_much_the_journal_says_of_records_that_are_still_to_be_read() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(PATIENT)
        lane = runner.pipeline.lanes[P0]
        lane.published = OffsetRanges(
            [offset for start in range(1000, 1000 + 2 * many, 2) for offset in (start, start + 1)]
        )
        lane.remembered = deque(Offset(offset) for offset in range(1001, 1001 + 2 * many, 2))
        events = [runner.event(phone=phone(index)) for index in range(20)]
        return lambda: runner.feed(*events)

    assert ratio(case, 400) < STAYS


# ------------------------------------------------------------------------------------------------------- partitions


@pytest.mark.parametrize("policies", [LONE, PATIENT], ids=["in queued sends", "in open windows"])
def test_giving_partitions_back_costs_what_they_hold_and_not_what_all_of_them_hold_each(policies: Policies) -> None:
    def case(partitions: int) -> Callable[[], Any]:
        runner = held_in(policies, partitions)
        return lambda: runner.pipeline.drop_all(list(runner.pipeline.lanes)[1:])

    assert ratio(case, 20) < GROWS_WITH_ITS_WORK


@pytest.mark.parametrize("policies", [LONE, PATIENT], ids=["in queued sends", "in open windows"])
def test_losing_one_partition_costs_what_it_holds_whatever_the_others_hold(policies: Policies) -> None:
    def case(partitions: int) -> Callable[[], Any]:
        runner = held_in(policies, partitions)
        return lambda: runner.pipeline.lose(P0)

    assert ratio(case, 20) < STAYS


@pytest.mark.parametrize("policies", [LONE, PATIENT], ids=["in queued sends", "in open windows"])
def test_a_probe_of_health_looks_at_each_standing_partition_alone(policies: Policies) -> None:
    def case(partitions: int) -> Callable[[], Any]:
        runner = held_in(policies, partitions)
        progress = Progress(runner.pipeline, request_seconds=1e6)
        around = Surroundings(stopped=frozenset(), troubled_at=None)
        assert not list(progress.standstills(at(2.0), around))
        return lambda: list(progress.standstills(at(3.0 + STILL_SECONDS), around))

    assert ratio(case, 20) < GROWS_WITH_ITS_WORK


def held_in(policies: Policies, partitions: int) -> Runner:
    """A process with some events in each partition, none of which moves."""
    runner = started(policies, partitions=partitions)
    for partition in runner.partitions:
        runner.feed(
            *[runner.event(phone=phone(10 * partition.number + index)) for index in range(10)], partition=partition
        )
    runner.run(until=2.0)
    return runner


# ------------------------------------------------------------------------------------------------------- turns, proofs


@pytest.mark.parametrize("policies", [LONE, PATIENT], ids=["in queued sends", "in open windows"])
def test_a_turn_with_nothing_to_do_costs_the_same_whatever_waits(policies: Policies) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(policies)
        runner.feed(*[runner.event(phone=phone(index)) for index in range(many)])
        runner.run(until=2.1)
        return lambda: runner.pipeline.turn(at(2.11))

    assert ratio(case, 200) < STAYS


def test_proofs_that_are_waited_for_cost_a_turn_nothing() -> None:
    def case(many: int) -> Callable[[], Any]:
        policies = Policies(
            default=CampaignPolicy(window_seconds=0.0, max_contacts=1, max_concurrency=many),
            max_concurrency=many,
            reserved_concurrency=0,
        )
        runner = started(policies)
        runner.sick.add(P0)
        runner.feed(*[runner.event(phone=phone(index)) for index in range(many)])
        runner.run(until=1.5)
        assert runner.pipeline.queue.in_flight == many
        return lambda: runner.pipeline.turn(at(1.51))

    assert ratio(case, 100) < STAYS


# ------------------------------------------------------------------------------------------------- what may not start


def of_many_campaigns(runner: Runner, many: int, first: int = 10) -> None:
    """An event of each of many campaigns, queued."""
    runner.feed(*[runner.event(campaignId=first + index, phone=phone(index)) for index in range(many)])


def answering(status: int, retry_after: float | None = None) -> Callable[[Request], tuple[Answer, float]]:
    return lambda _request: (Answered(status=status, retry_after_seconds=retry_after, body=b"{}"), 0.01)


def gone(_request: Request) -> tuple[Answer, float]:
    return Unreachable(detail="refused"), 0.001


@pytest.mark.parametrize("status", [429, 403], ids=["asked to wait", "refused"])
def test_campaigns_that_may_not_start_cost_the_same_each(status: int) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        answers = answering(status, retry_after=3_600.0)
        runner.platform = lambda request: (OK, 0.01) if request.campaign == 1 else answers(request)
        of_many_campaigns(runner, many)
        runner.feed(runner.event(phone=phone(many)))
        return lambda: runner.run(until=30.0)

    assert ratio(case, 400 if status == 429 else 50) < GROWS_WITH_ITS_WORK


@pytest.mark.parametrize("retry_after", [None, 3_600.0], ids=["first contact", "asked to wait"])
def test_a_turn_costs_the_same_however_many_campaigns_wait(retry_after: float | None) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = Runner(policies=LONE, platform=answering(404)) if retry_after is None else started(LONE)
        if retry_after is not None:
            runner.platform = answering(429, retry_after=retry_after)
        of_many_campaigns(runner, many)
        until = (
            5.0 if retry_after is None else 15.0
        )  # all were asked, one at a time since the limit follows the platform
        runner.run(until=until)
        return lambda: runner.pipeline.turn(at(until + 0.001))

    assert ratio(case, 200) < STAYS


@pytest.mark.parametrize("platform", [gone, answering(401)], ids=["gone", "refusing"])
def test_a_probe_costs_the_same_however_much_waits(platform: Callable[[Request], tuple[Answer, float]]) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        runner.platform = platform
        runner.feed(*[runner.event(phone=phone(index)) for index in range(many)])
        runner.run(until=300.0)
        return lambda: runner.run(until=1_000.0)

    assert ratio(case, 200) < STAYS


def test_a_look_at_deadlines_costs_the_same_however_much_waits() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        runner.feed(*[runner.event(phone=phone(index), expires_in=1e4) for index in range(many)])
        runner.feed(runner.event(phone=phone(many), expires_in=100.0))
        runner.run(until=99.0)
        return lambda: runner.run(until=110.0)

    assert ratio(case, 200) < STAYS


def test_deadlines_that_come_together_cost_the_same_each() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        runner.feed(*[runner.event(phone=phone(index), expires_in=100.0) for index in range(many)])
        runner.run(until=99.0)
        return lambda: runner.run(until=102.0)

    assert ratio(case, 150) < GROWS_WITH_ITS_WORK


def test_deadlines_of_those_who_wait_behind_their_own_person_cost_the_same_each() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        runner.feed(*[runner.event(expires_in=100.0) for _ in range(many)])
        runner.run(until=99.0)
        return lambda: runner.run(until=103.0)

    assert ratio(case, 150) < GROWS_WITH_ITS_WORK


def test_a_stop_that_ends_costs_each_campaign_that_waits_the_same() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = Runner(policies=LONE, platform=answering(404))
        of_many_campaigns(runner, many)
        runner.run(until=100.0)
        runner.platform = lambda _request: (OK, 0.01)
        return lambda: runner.run(until=200.0)

    assert ratio(case, 50) < GROWS_WITH_ITS_WORK


def reading(items: list[dict[str, str]], contacts: int) -> Callable[[], Any]:
    """Read an answer about contacts who share one reference."""
    members = [make_event(index) for index in range(contacts)]
    for member in members:
        member.external_reference = "all"
    said = orjson.dumps({"data": {"errors": items}})
    return lambda: read_accepted(said, 200, members, WireNames())


def test_of_an_answer_with_ever_more_items_no_more_are_looked_at() -> None:
    assert ratio(lambda many: reading([{"customData": "all"}] * many, contacts=2), FEWEST_ITEMS) < STAYS


def test_a_phone_of_any_length_costs_the_same() -> None:
    assert ratio(lambda many: reading([{"phoneNumber": "a" * many}], contacts=2), 10_000) < STAYS


def test_who_somebody_is_costs_the_same_however_long_the_number_is() -> None:
    def case(many: int) -> Callable[[], Any]:
        number = "6-" * many
        return lambda: person_of(phone_e164=None, phone_number=number, country_code="34", external_code=None)

    assert ratio(case, 10_000) < STAYS


@pytest.mark.parametrize("item", [{"customData": "all"}, {"customData": "all", "phoneE164": "+34600111222"}])
def test_whom_names_have_in_common_is_found_out_once_for_all_items_that_say_them(item: dict[str, str]) -> None:
    members = [make_event(index) for index in range(10)]
    for index, member in enumerate(members):
        member.external_reference = "all" if index < 9 else "another"
    directory = RequestMembers(members, WireNames())
    found = directory.named_by(item)
    assert len(found) == 9
    assert directory.named_by(dict(item)) is found


# ------------------------------------------------------------------------------------------------------------ holds


@pytest.mark.parametrize("whose", [1, None], ids=["a campaign", "everything"])
def test_a_turn_and_an_event_cost_the_same_however_much_is_held(whose: int | None) -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        Operator(runner).hold(whose)
        runner.feed(*[runner.event(phone=phone(index)) for index in range(many)])
        runner.run(until=3.0)
        event = runner.event(phone=phone(many), campaignId=2)

        def act() -> None:
            runner.turn()
            runner.readable()
            runner.feed(event)
            runner.turn()

        return act

    assert ratio(case, 200) < STAYS


def test_a_hold_and_a_cancellation_cost_what_is_in_hand_once() -> None:
    def case(many: int) -> Callable[[], Any]:
        runner = started(LONE)
        runner.feed(*[runner.event(phone=phone(index)) for index in range(many)])
        runner.run(until=3.0)
        operator = Operator(runner)

        def act() -> None:
            operator.hold(1)
            operator.cancel(campaign=1)
            runner.run(until=6.0)

        return act

    assert ratio(case, 200) < GROWS_WITH_ITS_WORK

"""Liveness means progress: what is stuck in this process is told, what the world holds up is not. Time is virtual."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from consumer.core.journal.ledger import OwnershipState
from consumer.core.platform.answer import Answered
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.terms import Offset, Partition, Ticks
from consumer.service.progress import (
    READING_BACK_SECONDS,
    STILL_SECONDS,
    Cause,
    Progress,
    Standstill,
    Surroundings,
)
from tests.core.makers import P0, P1, at, make_claim
from tests.core.operators import Operator
from tests.core.runner import OK, Runner, accepting

REQUEST_SECONDS = 15.0
PROBE_SECONDS = 10.0
HOUR = 3_600.0
STUCK_APPEND = "an append to its journal has neither landed nor failed"
AT_ONCE = Policies(default=CampaignPolicy(window_seconds=0.0, max_age_seconds=9 * HOUR), max_concurrency=1)


@dataclass
class Probed:
    """A runner that is asked for its progress every ten seconds while time passes."""

    runner: Runner
    stopped: set[Partition] = field(default_factory=set)
    assigned: set[Partition] = field(default_factory=set)
    paused: set[Partition] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    log_ends: dict[Partition, Offset] = field(default_factory=dict)
    trouble_until: float = -1.0
    """The brokers are in trouble until then, and say so at every probe."""

    def __post_init__(self) -> None:
        self.progress = Progress(self.runner.pipeline, request_seconds=REQUEST_SECONDS)

    def during(self, seconds: float) -> Iterator[Standstill]:
        """What probes complain of meanwhile."""
        end = self.runner.time + seconds
        troubled_at: Ticks | None = None
        while self.runner.time < end:
            if self.runner.time <= self.trouble_until:
                troubled_at = Ticks(self.runner.time)
            around = Surroundings(
                stopped=frozenset(self.stopped),
                troubled_at=troubled_at,
                assigned=frozenset(self.assigned),
                log_ends=self.log_ends,
                paused=frozenset(self.paused),
                unreadable=frozenset(self.unreadable),
            )
            if self.runner.hears:
                self.runner.hear()
            yield from self.progress.standstills(at(self.runner.time), around)
            self.runner.run(until=self.runner.time + PROBE_SECONDS)
            self.runner.time = max(self.runner.time, min(end, self.runner.time + PROBE_SECONDS))

    def complains(self, seconds: float = 2 * STILL_SECONDS) -> set[str]:
        """What `/healthz` complains of, without the number of seconds."""
        return {said.why for said in self.during(seconds) if said.cause is Cause.OURS}

    def explains(self, seconds: float = 2 * STILL_SECONDS) -> set[str]:
        """What `/readyz` names."""
        return {said.why for said in self.during(seconds) if said.cause is Cause.OUTSIDE}


def started(policies: Policies = AT_ONCE) -> Probed:
    """A service that has had its first 2xx."""
    runner = Runner(policies=policies)
    runner.feed(runner.event(phone="+34600000009"))
    runner.run()
    return Probed(runner)


# ------------------------------------------------------------------------------------------ what the world explains


def test_a_service_without_work_is_well() -> None:
    assert not started().complains(HOUR)


def test_a_slow_platform_is_no_reason_to_restart() -> None:
    probed = started()
    probed.runner.platform = lambda _request: (OK, REQUEST_SECONDS)
    probed.runner.feed(*[probed.runner.event(phone=f"+3460000{n:04}") for n in range(3)], probed.runner.event())
    assert not probed.complains(HOUR)


@pytest.mark.parametrize("status", [401, 429, 503, 500])
def test_a_platform_that_refuses_or_fails_for_hours_is_no_reason_to_restart(status: int) -> None:
    probed = started()
    probed.runner.platform = lambda _request: (Answered(status=status, retry_after_seconds=300.0, body=b"{}"), 0.01)
    probed.runner.feed(probed.runner.event())
    assert not probed.complains(HOUR)


@pytest.mark.parametrize("whose", [1, None])
def test_what_an_operator_holds_is_explained_by_a_person(whose: int | None) -> None:
    probed = started()
    Operator(probed.runner).hold(whose)
    probed.runner.feed(probed.runner.event())
    assert not probed.complains(HOUR)
    assert not probed.explains()


def test_a_control_topic_that_is_not_read_is_the_worlds_doing() -> None:
    probed = started()
    probed.runner.hears = False
    probed.runner.time += 10.0
    probed.runner.feed(probed.runner.event())
    assert not probed.complains(HOUR)
    assert probed.explains() == {"its oldest event waits in the queue"}


def test_a_window_that_waits_for_company_for_long_is_no_reason_to_restart() -> None:
    probed = started(Policies(default=CampaignPolicy(window_seconds=HOUR)))
    probed.runner.feed(probed.runner.event())
    assert not probed.complains(HOUR / 2)


def test_a_journal_that_does_not_acknowledge_explains_what_stands_still() -> None:
    probed = started()
    probed.runner.sick.add(P0)
    probed.runner.pipeline.lanes[P0].trouble = "NotEnoughReplicas"
    probed.runner.feed(probed.runner.event())
    assert not probed.complains()


def test_brokers_in_trouble_explain_what_stands_still_for_as_long_as_they_are() -> None:
    probed = started()
    probed.runner.sick.add(P0)
    probed.trouble_until = probed.runner.time + HOUR
    probed.runner.feed(probed.runner.event())
    assert not probed.complains(HOUR)
    assert probed.complains(3 * STILL_SECONDS) == {STUCK_APPEND}


def test_a_partition_that_waits_for_a_person_is_no_reason_to_restart() -> None:
    probed = started()
    probed.runner.pipeline.assigned(P1, lambda: make_claim("me"), "me")
    probed.stopped.add(P1)
    assert not probed.complains(HOUR)


def test_what_the_world_holds_up_for_long_is_named_so_that_no_probe_is_green() -> None:
    probed = started()
    probed.runner.platform = lambda _request: (Answered(status=503, retry_after_seconds=300.0, body=b"{}"), 0.01)
    probed.runner.feed(probed.runner.event())
    assert probed.explains() == {"its oldest event waits in the queue"}


def test_a_full_buffer_explains_records_that_are_not_read() -> None:
    probed = started(replace(AT_ONCE, buffer_max_events=2))
    probed.runner.take(P1)
    probed.runner.platform = lambda _request: (Answered(status=503, retry_after_seconds=300.0, body=b"{}"), 0.01)
    probed.runner.feed(*[probed.runner.event(phone=f"+3460000{n:04}") for n in range(3)])
    probed.log_ends[P1] = Offset(1)
    probed.paused.add(P1)
    assert not probed.runner.readable()
    said = probed.explains()
    assert any("buffer is full" in why for why in said)
    assert not probed.complains()


# ------------------------------------------------------------------------------------------ what is stuck in here


def test_records_that_are_never_read_are_told() -> None:
    probed = started()
    probed.log_ends[P0] = Offset(probed.runner.pipeline.lanes[P0].watermark.position)
    assert not probed.complains(HOUR)
    probed.log_ends[P0] = Offset(probed.log_ends[P0] + 1)
    assert probed.complains() == {"its records are not read"}
    probed.paused.add(P0)
    assert probed.complains() == {"its records are not read"}, "there is room for them"
    probed.unreadable.add(P0.topic)
    assert not probed.complains(), "a restart brings back neither a topic nor a permission; /readyz names it"


def test_a_partition_of_ours_that_nobody_claims_is_told() -> None:
    probed = started()
    probed.assigned.add(P1)
    assert probed.complains() == {"it is not claimed"}


def test_an_append_that_never_ends_is_told() -> None:
    probed = started()
    probed.runner.sick.add(P0)  # and nobody says that it is
    probed.runner.feed(probed.runner.event())
    assert probed.complains() == {STUCK_APPEND}


def test_a_request_that_outlives_its_own_deadline_is_told() -> None:
    probed = started()
    probed.runner.platform = lambda _request: (OK, HOUR)
    probed.runner.feed(probed.runner.event())
    assert probed.complains(3 * STILL_SECONDS) == {"its oldest event is in a request"}


def test_a_stuck_request_is_told_though_other_partitions_go_on() -> None:
    policies = Policies(default=CampaignPolicy(window_seconds=0.0, max_concurrency=2), max_concurrency=2)
    runner = Runner(policies=policies, partitions=(P0, P1))
    runner.feed(runner.event(phone="+34600000009"))
    runner.run()
    probed = Probed(runner)
    runner.platform = lambda _request: (OK, HOUR)
    runner.feed(runner.event())
    runner.run(until=runner.time)
    runner.platform = accepting
    said: set[str] = set()
    for number in range(30):
        runner.feed(runner.event(phone=f"+3460000{number:04}"), partition=P1)
        said |= probed.complains(PROBE_SECONDS)
    assert said == {"its oldest event is in a request"}


def test_results_that_are_never_published_are_told() -> None:
    probed = started()
    published = probed.runner.pipeline.published
    probed.runner.pipeline.published = lambda settlements: None  # type: ignore[method-assign]  # noqa: ARG005
    probed.runner.feed(probed.runner.event())
    assert probed.complains() == {"its oldest event waits for its result to be published"}
    probed.runner.pipeline.published = published  # type: ignore[method-assign]


def test_an_event_that_was_lost_on_its_way_is_told() -> None:
    probed = started(Policies(default=CampaignPolicy(window_seconds=HOUR)))
    probed.runner.feed(probed.runner.event())
    probed.runner.pipeline.windows.drop(probed.runner.pipeline.lanes[P0].in_hand.values())
    assert probed.complains() == {"its oldest event is nowhere on its way"}


def test_a_queue_that_nobody_picks_from_is_told() -> None:
    probed = started()
    probed.runner.pipeline.delivery.pick = lambda now: None  # type: ignore[method-assign]  # noqa: ARG005
    probed.runner.feed(probed.runner.event())
    assert probed.complains() == {"its oldest event waits in the queue"}


def test_a_journal_that_is_read_back_for_too_long_is_told() -> None:
    probed = started()
    lane = probed.runner.pipeline.assigned(P1, lambda: make_claim("me"), "me")
    assert probed.complains() == {"its journal is not looked at"}
    lane.ledger.may_claim()
    probed.runner.turn()
    assert lane.ledger.standing is OwnershipState.TAKING_OVER
    assert not probed.complains(READING_BACK_SECONDS)
    assert probed.complains(2 * STILL_SECONDS) == {"its journal is not read"}


def test_an_outcome_that_is_never_written_is_told() -> None:
    probed = started()
    runner = probed.runner
    runner.platform = lambda _request: (OK, 1.0)
    runner.feed(runner.event())
    runner.run(until=runner.time + 0.5)
    runner.sick.add(P0)
    assert probed.complains() == {"its oldest event waits for its outcome to be written"}

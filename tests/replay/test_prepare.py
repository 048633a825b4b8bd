"""What a run finds before it publishes, in topics that have changed since its plan was made."""

from dataclasses import replace

import pytest

from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Ticks
from consumer.replay.criteria import Criteria
from consumer.replay.document import Plan
from consumer.replay.planning import draw_up
from consumer.replay.ranges import PlanQuestion
from consumer.replay.rows import RowState
from consumer.replay.run import Prepared, RefusedPlanError, prepare
from consumer.replay.sealing import seal
from tests.replay.logs import DEAD_LETTERS, EVENTS, JOURNAL, RESULTS, Log, MemoryLogs, logs_of
from tests.replay.model import NOW
from tests.replay.test_planning import Told
from tests.replay.test_sealing import FRAME


def failed_events(count: int) -> MemoryLogs:
    logs = logs_of()
    for number in range(count):
        logs.result(logs.event(number), "failed", event=number)
    logs.commits[EVENTS, 0] = count
    return logs


async def plan_of(logs: MemoryLogs) -> Plan:
    question = PlanQuestion(journals={EVENTS: JOURNAL}, results=RESULTS, dead_letters=DEAD_LETTERS, criteria=Criteria())
    now = Now(Instant(NOW), Ticks(0.0))
    drawn = await draw_up(question, logs, policies=Policies(), now=now, progress=Told())
    return seal(drawn, replace(FRAME, results_topic=RESULTS))


async def prepared(plan: Plan, logs: MemoryLogs) -> Prepared:
    return await prepare(plan, logs, progress=Told(), on_trouble=lambda _what: None)


async def test_whom_another_resend_has_reached_is_known_also_where_the_results_topic_has_grown() -> None:
    logs = failed_events(3)
    plan = await plan_of(logs)
    resend = logs.event(1, resend="replay-theirs")
    logs.commits[EVENTS, 0] = 4
    logs.topics[RESULTS].append(Log())
    logs.result((EVENTS, 1, resend[2]), "accepted", event=1)  # where the grown topic holds it

    assert (await prepared(plan, logs)).count(RowState.LEFT_OUT) == 1


async def test_whom_another_resend_has_reached_is_known_also_where_the_results_topic_was_made_anew() -> None:
    logs = failed_events(3)
    plan = await plan_of(logs)
    logs.topics[RESULTS][0] = Log()
    logs.result(logs.event(1, resend="replay-theirs"), "accepted", event=1)
    logs.commits[EVENTS, 0] = 4

    assert (await prepared(plan, logs)).count(RowState.LEFT_OUT) == 1


async def test_a_plan_of_a_topic_that_ends_before_it_did_is_refused() -> None:
    """Restored from a copy, say: its records are the same, and what was published behind them is not to be found."""
    logs = failed_events(3)
    logs.event(9)
    plan = await plan_of(logs)
    assert plan.counts.would_send == 3
    log = logs.topics[EVENTS][0]
    log.end = 3
    log.records.pop()

    with pytest.raises(RefusedPlanError, match="events:0 ends at offset 3, and ended at 4 when the plan was made"):
        await prepared(plan, logs)

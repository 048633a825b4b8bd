"""What outlives the process: who was let in, who asked for patience, when nothing could start."""

from collections.abc import Callable

from consumer.core.outcome import Reason, Status
from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import Answer, Answered
from consumer.core.policy import CampaignPolicy, Policies
from tests.core.makers import P0, at
from tests.core.runner import Request, Runner, accepting

QUICK = Policies(default=CampaignPolicy(window_seconds=0.0))


def refusing(status: int) -> Callable[[Request], tuple[Answer, float]]:
    return lambda _request: (Answered(status=status, retry_after_seconds=None, body=b"{}"), 0.01)


def let_in() -> Runner:
    """A process that has had its 2xx and has written that down."""
    runner = Runner(policies=QUICK)
    runner.feed(runner.event())
    runner.run()
    assert runner.results[0, 0].status is Status.ACCEPTED
    runner.checkpoint()
    return runner


def restarted(before: Runner, policies: Policies = QUICK) -> Runner:
    """The next process, an instant later, with the journal of the one before."""
    runner = Runner(policies=policies, partitions=(), time=before.time)
    runner.journal = {partition: list(log) for partition, log in before.journal.items()}
    runner.serial = before.serial
    runner.take(P0, process="next")
    return runner


def test_a_restart_in_front_of_a_backlog_that_is_refused_is_no_first_contact() -> None:
    runner = restarted(let_in())
    runner.platform = refusing(404)
    runner.feed(*[runner.event(campaignId=2, phone=f"+34611{number:06}") for number in range(30)])
    runner.run(until=runner.time + 5.0)
    refused = {(verdict.status, verdict.reason) for verdict in runner.results.values()}
    assert refused == {(Status.REJECTED, Reason.CAMPAIGN_REFUSED)}
    assert len(runner.results) == 30, "nothing is left to fill the buffer"


def test_a_changed_configuration_is_a_first_contact_and_the_old_one_is_none_when_it_comes_back() -> None:
    before = let_in()
    mistaken = restarted(before, Policies(default=QUICK.default, configuration="another URL"))
    mistaken.platform = refusing(404)
    mistaken.feed(mistaken.event(campaignId=2))
    mistaken.run(until=mistaken.time + 600.0)
    assert mistaken.results == {}
    assert mistaken.pipeline.access.state(at(9e6)) is AccessState.FIRST_CONTACT
    mistaken.checkpoint()
    assert restarted(mistaken).pipeline.access.state(at(9e6)) is AccessState.OPEN


def test_a_process_that_is_turned_away_already_is_not_let_in_by_an_older_ones_memory() -> None:
    """It has seen the platform later than whoever wrote the checkpoint."""
    before = let_in()
    runner = Runner(policies=QUICK, platform=refusing(401))
    runner.feed(runner.event())
    runner.run(until=60.0)
    runner.pipeline.drop(P0)
    runner.journal = {partition: list(log) for partition, log in before.journal.items()}
    runner.take(P0)
    assert runner.pipeline.access.state(at(9e6)) is AccessState.FIRST_CONTACT
    runner.platform = accepting
    runner.feed(runner.event())
    runner.run()
    assert runner.results[0, 1].status is Status.ACCEPTED

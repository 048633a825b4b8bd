"""A partition lost to a late claim and taken again by the same process: what the platform accepted is known still."""

import orjson
import pytest

from consumer.core.journal.entries import Intent, Returned, encode
from consumer.core.journal.ledger import OwnershipState
from consumer.core.outcome import Status, Verdict
from consumer.core.platform.answer import Answer, Answered, Lost
from consumer.core.policy import CampaignPolicy, OnUnknown, Policies
from consumer.core.terms import JournalOffset, Offset, SendId
from tests.core.makers import P0, P1, at, make_claim
from tests.core.runner import OK, Request, Runner, accepting

ANSWERS_AFTER_SECONDS = 1.5


@pytest.fixture(params=[OnUnknown.RESEND, OnUnknown.HOLD], ids=["resend", "hold"])
def runner(request: pytest.FixtureRequest) -> Runner:
    """A process that has two partitions and a platform that takes its time."""
    policy = CampaignPolicy(window_seconds=0.0, on_unknown=request.param)
    runner = Runner(policies=Policies(default=policy), partitions=(P0, P1), platform=slow)
    runner.platform = accepting
    runner.feed(runner.event(phone="+34600000009"), partition=P1)
    runner.run()
    runner.platform = slow
    return runner


def slow(_request: Request) -> tuple[Answer, float]:
    """A platform that accepts everybody after a while."""
    return OK, ANSWERS_AFTER_SECONDS


def claimed_by_another(runner: Runner, *also: bytes) -> None:
    """Let somebody who was frozen claim the partition late."""
    log = runner.journal[P0]
    log.append(encode(make_claim("another"), JournalOffset(len(log))))
    log.extend(also)


def lost(runner: Runner) -> None:
    """The claim has been seen: the next append landed behind it."""
    assert runner.pipeline.lanes[P0].ledger.standing is OwnershipState.LOST
    runner.pipeline.lose(P0)


def out(runner: Runner, *events: dict[str, object]) -> None:
    """Let a request for these be out."""
    runner.feed(*events)
    runner.run(until=runner.time + 1.0)


def lost_with_the_answer_in_hand(runner: Runner, *theirs: bytes) -> None:
    """Let the answer come, and its outcome land behind the claim of another."""
    claimed_by_another(runner, *theirs)
    runner.run()
    lost(runner)


def lost_before_the_answer(runner: Runner) -> None:
    """Let the partition be lost, and the answer come only then."""
    claimed_by_another(runner)
    runner.checkpoint()  # any append sees the claim
    lost(runner)
    runner.run()


def assert_unknown(verdict: Verdict) -> None:
    """What became of the first attempt is not known: sent again and marked, or held in doubt."""
    assert verdict.possible_duplicate if verdict.status is Status.ACCEPTED else verdict.status is Status.IN_DOUBT


def taken_again(runner: Runner, *documents: dict[str, object]) -> None:
    """Take the partition again and read its records again."""
    runner.platform = accepting
    runner.take(P0)
    runner.feed(*documents, first=0)
    runner.run()


def test_an_answer_whose_outcome_could_not_be_written_settles_and_nobody_is_asked_again(runner: Runner) -> None:
    events = [runner.event(phone=f"+3460000000{person}") for person in range(3)]
    out(runner, *events)
    lost_with_the_answer_in_hand(runner)
    posted = len(runner.requests)

    taken_again(runner, *events)

    assert len(runner.requests) == posted
    verdicts = [runner.results[0, offset] for offset in range(3)]
    assert {(each.status, each.possible_duplicate, each.attempts) for each in verdicts} == {(Status.ACCEPTED, False, 1)}
    assert runner.pipeline.buffer.held_events == 0
    attempts = runner.pipeline.lanes[P0].attempts
    assert (attempts.returnable(), *attempts.snapshot()) == ((), (), ())  # its outcome names the send, and closes it


def test_an_answer_that_comes_after_the_partition_was_lost_is_put_to_it(runner: Runner) -> None:
    event = runner.event()
    out(runner, event)
    posted = len(runner.requests)
    lost_before_the_answer(runner)

    taken_again(runner, event)

    assert len(runner.requests) == posted
    assert runner.results[0, 0].status is Status.ACCEPTED
    assert not runner.results[0, 0].possible_duplicate


def test_an_answer_for_members_of_several_partitions_is_put_to_each(runner: Runner) -> None:
    def one_refused(_request: Request) -> tuple[Answer, float]:
        body = orjson.dumps({"data": {"errors": [{"phoneE164": "+34600000003"}]}})
        return Answered(status=200, retry_after_seconds=None, body=body), ANSWERS_AFTER_SECONDS

    runner.platform = one_refused
    mine = [runner.event(phone="+34600000001"), runner.event(phone="+34600000003")]
    runner.feed(runner.event(phone="+34600000002"), partition=P1)
    out(runner, *mine)
    lost_before_the_answer(runner)
    assert runner.results[1, 1].status is Status.ACCEPTED
    posted = len(runner.requests)

    taken_again(runner, *mine)

    again = [place for request in runner.requests[posted:] for place in request.offsets]
    assert runner.results[0, 0].status is Status.ACCEPTED
    assert (0, 0) not in again
    assert_unknown(runner.results[0, 1])  # who was refused is judged by the policy on unknown outcomes, as ever


def test_an_attempt_of_another_owner_that_is_open_makes_it_a_maybe(runner: Runner) -> None:
    event = runner.event()
    out(runner, event)
    at_offset = len(runner.journal[P0]) + 1
    theirs = Intent(
        send_id=SendId("theirs"), attempt=1, campaign_id=1, offsets=(Offset(0),), intended_at=at(runner.time).wall
    )
    lost_with_the_answer_in_hand(runner, encode(theirs, JournalOffset(at_offset)))

    taken_again(runner, event)

    verdict = runner.results[0, 0]
    assert (verdict.status, verdict.possible_duplicate, verdict.attempts) == (Status.ACCEPTED, True, 2)


def test_an_attempt_of_ours_that_never_began_makes_it_no_maybe_though_that_could_not_be_written(runner: Runner) -> None:
    event = runner.event()
    out(runner, event)
    ledger = runner.pipeline.lanes[P0].ledger
    never = Intent(
        send_id=SendId("never"), attempt=1, campaign_id=1, offsets=(Offset(0),), intended_at=at(runner.time).wall
    )
    ledger.add(never, None)
    runner.checkpoint()
    claimed_by_another(runner)
    ledger.add(Returned(send_id=SendId("never"), attempt=1, started=False), None)
    runner.run()
    lost(runner)
    posted = len(runner.requests)

    taken_again(runner, event)

    assert len(runner.requests) == posted
    verdict = runner.results[0, 0]
    assert (verdict.status, verdict.possible_duplicate, verdict.attempts) == (Status.ACCEPTED, False, 1)
    attempts = runner.pipeline.lanes[P0].attempts
    assert (attempts.returnable(), *attempts.snapshot()) == ((), (), ())


def test_what_another_owner_has_settled_stays_as_it_is(runner: Runner) -> None:
    event = runner.event()
    out(runner, event)
    lost_with_the_answer_in_hand(runner)
    other = Runner(policies=runner.policies, platform=accepting)  # takes over as anybody would, and settles
    other.pipeline.drop(P0)
    other.journal[P0] = runner.journal[P0]
    other.take(P0, process="other")
    other.feed(event, first=0)
    other.run()

    taken_again(runner, event)

    assert runner.results[0, 0] == other.results[0, 0]


def test_a_lost_answer_stays_unknown(runner: Runner) -> None:
    runner.platform = lambda _request: (Lost(detail="reset"), ANSWERS_AFTER_SECONDS)
    event = runner.event()
    out(runner, event)
    lost_before_the_answer(runner)

    taken_again(runner, event)

    assert_unknown(runner.results[0, 0])


def test_what_was_heard_is_forgotten_when_the_partition_is_given_back(runner: Runner) -> None:
    event = runner.event()
    out(runner, event)
    lost_with_the_answer_in_hand(runner)
    runner.pipeline.drop(P0)

    taken_again(runner, event)

    assert_unknown(runner.results[0, 0])


def test_a_repeat_of_what_was_heard_is_a_duplicate_of_it(runner: Runner) -> None:
    event = runner.event()
    out(runner, event)
    lost_with_the_answer_in_hand(runner)

    taken_again(runner, event, event)

    assert runner.results[0, 0].status is Status.ACCEPTED
    repeat = runner.results[0, 1]
    assert repeat.status is Status.DUPLICATE
    assert repeat.related is not None
    assert repeat.related.offset == 0

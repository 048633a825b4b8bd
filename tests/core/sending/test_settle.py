"""What an answer does to each member of its send: every answer, policy and history, against the contract's table."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.history import UNTRIED, Fate, History
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.platform.access import Access, AccessState
from consumer.core.platform.answer import Answer, Answered, Exchange, Lost, Unreachable, Withheld, Withholding
from consumer.core.platform.answer_body import read_accepted
from consumer.core.platform.retry import given_up
from consumer.core.policy import CampaignPolicy, Meaning, OnUnknown, Policies, WireNames
from consumer.core.sending import settle
from consumer.core.sending.send import QueueEnd, Send
from consumer.core.sending.settle import (
    CalledOff,
    Decision,
    Finished,
    Halve,
    RetryLater,
    decide,
    decide_whatever_it_says,
)
from consumer.core.terms import Instant
from tests.core.makers import at, make_event, make_send, nothing_held

NAMES = WireNames()
STARTED = at(5).wall
FINISHED = at(6).wall
RESEND = CampaignPolicy(max_attempts=4, lost_answer_repeats=2)
HOLD = CampaignPolicy(max_attempts=4, lost_answer_repeats=2, on_unknown=OnUnknown.HOLD)


def answered(status: int, body: bytes = b'{"data":{}}', retry_after: float | None = None) -> Answered:
    return Answered(status=status, retry_after_seconds=retry_after, body=body)


def open_access() -> Access:
    access = Access(lambda: 1.0, nothing_held(), Policies())
    access.accepted(1, at(0))
    return access


def judged(send: Send, answer: Answer, policy: CampaignPolicy, access: Access | None = None) -> Decision:
    started = not isinstance(answer, Unreachable | Withheld)
    exchange = Exchange(answer=answer, started_at=STARTED if started else None, finished_at=FINISHED)
    return decide(send, exchange, policy, NAMES, access or open_access(), at(6))


PASTS = st.sampled_from(
    [
        UNTRIED,
        UNTRIED,
        History(attempts=2, last_tried_at=Instant(1.0)),
        History(attempts=1, counted=1, lost=1, answers_lost=1, doubt=Reason.OWNER_LOST, last_tried_at=Instant(1.0)),
        History(attempts=1, counted=1, lost=1, doubt=Reason.SERVER_ERROR, last_tried_at=Instant(1.0)),
        History(attempts=3, counted=2, lost=2, answers_lost=1, doubt=Reason.ANSWER_LOST, last_tried_at=Instant(1.0)),
    ]
)


@st.composite
def sends(draw: st.DrawFn) -> tuple[Send, dict[str, History]]:
    """A send of members with pasts of their own."""
    members: list[Event] = []
    for offset in range(draw(st.integers(1, 4))):
        event = make_event(offset, person=f"p{offset}", contact=orjson.dumps({"customData": f"0-{offset}"}))
        event.history = draw(PASTS)
        members.append(event)
    return make_send("s", *members), {event.event_id: event.history for event in members}


def verdicts(decision: Decision, send: Send) -> dict[str, Verdict]:
    assert isinstance(decision, Finished)
    said = [(event.event_id, verdict) for verdict, members in decision.items for event in members]
    assert sorted(name for name, _ in said) == sorted(event.event_id for event in send.members), "each exactly once"
    return dict(said)


@given(sends(), st.sampled_from([RESEND, HOLD]), st.sampled_from([200, 201, 202, 204, 299]))
def test_a_2xx_accepts_everybody_and_marks_who_may_have_been_texted_before(
    made: tuple[Send, dict[str, History]], policy: CampaignPolicy, status: int
) -> None:
    send, pasts = made
    for name, verdict in verdicts(judged(send, answered(status), policy), send).items():
        assert (verdict.status, verdict.reason) == (Status.ACCEPTED, None)
        assert verdict.attempts == pasts[name].attempts + 1
        assert verdict.possible_duplicate is (pasts[name].lost > 0)
        assert (verdict.dispatched_at, verdict.completed_at) == (STARTED, FINISHED)


@given(sends(), st.sampled_from([RESEND, HOLD]), st.sampled_from([404, 405, 410, 451]))
def test_a_refusal_rejects_except_whom_an_earlier_attempt_may_have_reached(
    made: tuple[Send, dict[str, History]], policy: CampaignPolicy, status: int
) -> None:
    send, pasts = made
    for name, verdict in verdicts(judged(send, answered(status), policy), send).items():
        past = pasts[name]
        expected = (Status.IN_DOUBT, past.doubt) if past.lost else (Status.REJECTED, Reason.CAMPAIGN_REFUSED)
        assert (verdict.status, verdict.reason) == expected
        assert verdict.attempts == past.attempts + 1
        assert not verdict.possible_duplicate


@given(sends(), st.sampled_from([400, 413, 422]))
def test_a_refusal_of_several_contacts_is_halved_and_one_alone_is_settled(
    made: tuple[Send, dict[str, History]], status: int
) -> None:
    send, pasts = made
    decision = judged(send, answered(status), RESEND)
    if len(send.members) > 1:
        assert isinstance(decision, Halve)
        return
    ((name, verdict),) = verdicts(decision, send).items()
    rejected = Reason.CAMPAIGN_REFUSED if status == 413 else Reason.CONTACT_REFUSED
    assert (verdict.status, verdict.reason) == (
        (Status.IN_DOUBT, pasts[name].doubt) if pasts[name].lost else (Status.REJECTED, rejected)
    )


@given(sends(), st.data())
def test_an_item_that_names_one_contact_rejects_that_one_alone(
    made: tuple[Send, dict[str, History]], data: st.DataObject
) -> None:
    send, pasts = made
    named = data.draw(st.sampled_from(send.members)).event_id
    body = orjson.dumps({"data": {"errors": [{"customData": named, "message": "contact is disabled"}]}})
    for name, verdict in verdicts(judged(send, answered(200, body), RESEND), send).items():
        if name != named:
            assert (verdict.status, verdict.reason) == (Status.ACCEPTED, None)
        elif pasts[name].lost:
            assert (verdict.status, verdict.reason) == (Status.IN_DOUBT, pasts[name].doubt)
        else:
            assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.CONTACT_REFUSED)
        assert verdict.attempts == pasts[name].attempts + 1


@given(sends(), st.sampled_from([RESEND, HOLD]), st.sampled_from([401, 402, 403, 407, 301, 302, 307]))
def test_a_refused_key_or_address_settles_nobody_and_stops(
    made: tuple[Send, dict[str, History]], policy: CampaignPolicy, status: int
) -> None:
    send, pasts = made
    access = open_access()
    decision = judged(send, answered(status), policy, access)
    assert isinstance(decision, RetryLater)
    assert decision.fate is Fate.EXCUSED
    assert all(event.history.counted == pasts[event.event_id].counted for event in send.members)
    assert all(event.history.first_tried_at == pasts[event.event_id].first_tried_at for event in send.members)
    assert access.state(at(6)) is AccessState.STOPPED


@given(sends(), st.sampled_from([400, 401, 403, 404, 413, 422, 302]))
def test_before_the_first_2xx_no_refusal_settles_anybody(made: tuple[Send, dict[str, History]], status: int) -> None:
    send, _ = made
    decision = judged(send, answered(status), RESEND, Access(lambda: 1.0, nothing_held(), Policies()))
    if len(send.members) > 1 and status in (400, 413, 422):
        assert isinstance(decision, Halve)
    else:
        assert isinstance(decision, RetryLater)
        assert decision.fate is Fate.EXCUSED
    assert decision.queue_end is QueueEnd.BACK


@pytest.mark.parametrize(
    "answer, tried, counted, campaigns_pause, everybodys_pause",
    [
        (answered(408), 1, 1, 0.0, 0.0),
        (answered(425), 1, 1, 0.0, 0.0),
        (answered(429), 1, 0, 0.0, 0.0),
        (answered(429, retry_after=7.0), 1, 0, 7.0, 0.0),
        (answered(503), 1, 0, 0.0, 0.0),
        (answered(503, retry_after=90.0), 1, 0, 0.0, 90.0),
        (Unreachable(detail="refused"), 0, 0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("policy", [RESEND, HOLD])
def test_what_was_surely_not_delivered_is_tried_again_and_its_attempt_closed(
    answer: Answer,
    tried: int,
    counted: int,
    campaigns_pause: float,
    everybodys_pause: float,
    policy: CampaignPolicy,
) -> None:
    access, send = open_access(), make_send("s")
    decision = judged(send, answer, policy, access)
    assert isinstance(decision, RetryLater)
    assert not decision.fate.is_unknown
    (history,) = send.histories()
    assert (history.attempts, history.counted) == (tried, counted)
    assert send.first_tried_at == history.first_tried_at == (STARTED if tried else None)
    assert decision.wait_seconds(1, policy, 0.5) == 0.125
    assert max(access.campaign_at(1), 6.0) == 6.0 + campaigns_pause
    assert max(access.shut_until(at(6)), 6.0) == 6.0 + everybodys_pause


UNKNOWN = st.sampled_from([answered(500), answered(502), answered(504), answered(599), Lost(detail="reset")])


@given(sends(), UNKNOWN)
def test_with_hold_an_unknown_fate_is_in_doubt_at_once(made: tuple[Send, dict[str, History]], answer: Answer) -> None:
    send, pasts = made
    reason = Reason.ANSWER_LOST if isinstance(answer, Lost) else Reason.SERVER_ERROR
    for name, verdict in verdicts(judged(send, answer, HOLD), send).items():
        assert (verdict.status, verdict.reason) == (Status.IN_DOUBT, reason)
        assert verdict.attempts == pasts[name].attempts + 1
        assert not verdict.possible_duplicate


@given(st.lists(UNKNOWN, min_size=6, max_size=6))
def test_with_resend_an_unknown_fate_is_tried_again_within_its_two_budgets(answers: list[Answer]) -> None:
    send = make_send("s", make_event(1))
    silent = 0
    for number, answer in enumerate(answers, start=1):
        silent += isinstance(answer, Lost)
        decision = judged(send, answer, RESEND)
        if silent > RESEND.lost_answer_repeats or number == RESEND.max_attempts:
            ((_, verdict),) = verdicts(decision, send).items()
            reason = Reason.ANSWER_LOST if isinstance(answer, Lost) else Reason.SERVER_ERROR
            assert (verdict.status, verdict.reason) == (Status.IN_DOUBT, reason)
            assert verdict.attempts == number
            return
        assert isinstance(decision, RetryLater)
        assert decision.fate.is_unknown, "the attempt stays open in the journal"
    raise AssertionError("it goes on for ever")


@given(sends(), st.sampled_from(Withholding))
def test_a_request_that_was_withheld_changes_nothing(made: tuple[Send, dict[str, History]], why: Withholding) -> None:
    send, _ = made
    before = [event.history for event in send.members]
    access = open_access()
    assert isinstance(judged(send, Withheld(why=why), RESEND, access), CalledOff)
    assert [event.history for event in send.members] == before
    assert access.state(at(6)) is AccessState.OPEN


def test_members_whose_budgets_are_spent_end_while_the_others_go_on() -> None:
    """Three answers of one were lost before it came into this send; the other is here for the first time."""
    worn = make_event(1, person="ann")
    worn.history = History(attempts=2, counted=2, lost=2, answers_lost=2, doubt=Reason.ANSWER_LOST)
    send = make_send("s", worn, make_event(2, person="bob"))
    decision = judged(send, Lost(detail="reset"), RESEND)
    assert isinstance(decision, RetryLater)
    assert [given_up(event.history, RESEND, tried_seconds=0.0) for event in send.members] == [
        Reason.RETRIES_EXHAUSTED,
        None,
    ]


@pytest.mark.parametrize("meant", list(Meaning))
def test_an_answer_to_what_never_started_settles_nobody_whatever_its_status_means(meant: Meaning) -> None:
    access, send = open_access(), make_send("s")
    exchange = Exchange(answer=answered(407), started_at=None, finished_at=FINISHED)
    decision = decide(send, exchange, CampaignPolicy(answers={407: meant}), NAMES, access, at(6))
    assert isinstance(decision, RetryLater)
    assert send.members[0].history == UNTRIED
    assert access.state(at(6)) is AccessState.STOPPED


@pytest.mark.parametrize(
    "meant, expected",
    [
        (Meaning.ACCEPTED, Finished),
        (Meaning.REFUSED, Finished),
        (Meaning.NOT_DELIVERED, RetryLater),
        (Meaning.UNKNOWN, RetryLater),
    ],
)
def test_an_operators_word_for_a_status_goes_first(meant: Meaning, expected: type[Decision]) -> None:
    policy = CampaignPolicy(answers={418: meant})
    assert isinstance(judged(make_send("s"), answered(418), policy), expected)


def test_an_answer_is_heard_although_every_member_has_left_meanwhile() -> None:
    """A probe's 2xx lets everybody in, whoever owns its members by now."""
    access = Access(lambda: 1.0, nothing_held(), Policies())
    send = make_send("s")
    send.keep([])
    decision = judged(send, answered(200), RESEND, access)
    assert isinstance(decision, Finished)
    assert [event for _, members in decision.items for event in members] == []
    assert access.state(at(6)) is AccessState.OPEN


def test_an_answer_whose_body_trips_us_up_counts_by_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(body: bytes | None, *what: object) -> object:
        if body is not None:
            raise ZeroDivisionError
        return read_accepted(body, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(settle, "read_accepted", stumble)
    send, misread = make_send("s", make_event(0)), list[Exception]()
    exchange = Exchange(answer=answered(200), started_at=STARTED, finished_at=FINISHED)
    decision = decide_whatever_it_says(send, exchange, RESEND, NAMES, open_access(), at(6), misread)
    assert isinstance(decision, Finished)
    ((verdict, _),) = decision.items
    assert (verdict.status, verdict.reason) == (Status.ACCEPTED, Reason.UNREADABLE_ANSWER)
    assert [type(error) for error in misread] == [ZeroDivisionError]


def test_a_broken_invariant_of_ours_is_not_taken_for_an_answer_that_cannot_be_read() -> None:
    misread = list[Exception]()
    exchange = Exchange(answer=Lost(detail=""), started_at=STARTED, finished_at=FINISHED)
    with pytest.raises(AttributeError):
        decide_whatever_it_says(make_send("s"), exchange, None, NAMES, open_access(), at(6), misread)  # type: ignore[arg-type]
    assert misread == []

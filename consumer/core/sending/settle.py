"""What one attempt's answer does to its send: an outcome per member, halves, or another attempt. Never sends.

The table in `post.py` says what an answer means; here stands what follows, with the first contact, the policy on
unknown outcomes and the budgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from consumer.core.event import Event
from consumer.core.history import UNTRIED, Fate, History
from consumer.core.outcome import Reason, Related, Response, Status, Verdict
from consumer.core.platform.access import Access
from consumer.core.platform.answer import (
    SERVER_ERROR,
    UNAVAILABLE,
    Answer,
    Answered,
    Exchange,
    Lost,
    NoConnectionYet,
    Unreachable,
    Withheld,
)
from consumer.core.platform.answer_body import read_accepted, read_refused, read_refused_contact
from consumer.core.platform.post import REFUSALS, Ruling, meaning
from consumer.core.platform.retry import backoff_seconds, given_up
from consumer.core.policy import CampaignPolicy, WireNames
from consumer.core.sending.send import QueueEnd, Send
from consumer.core.terms import Now, millisecond_of

Items = Sequence[tuple[Verdict, Sequence[Event]]]


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """Every member has its verdict."""

    ruling: Ruling
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class Halve:
    """Refused, and several contacts: each half is a send of its own, at once. No budget is spent."""

    ruling: Ruling
    queue_end: QueueEnd = QueueEnd.FRONT
    """The back where no refusal settles anything yet: then it was a probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """Another attempt later. One whose fate is unknown stays open in the journal; any other is returned.

    An excused one has no back-off of its own: access says when the next probe is.
    """

    ruling: Ruling
    fate: Fate

    @property
    def queue_end(self) -> QueueEnd:
        """Where it is queued: an excused attempt was a probe."""
        return QueueEnd.BACK if self.fate is Fate.EXCUSED else QueueEnd.FRONT

    def wait_seconds(self, setbacks: int, policy: CampaignPolicy, jitter: float) -> float:
        """Return seconds until the next attempt."""
        return backoff_seconds(
            setbacks,
            base_seconds=policy.backoff_base_seconds,
            max_seconds=policy.backoff_max_seconds,
            jitter=jitter,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledOff:
    """It never started: deadline, stale proof, or partition lost. Back to the queue at once."""

    ruling: Ruling
    queue_end: QueueEnd = QueueEnd.FRONT
    """The back where it was a probe that found no connection."""


Decision = Finished | Halve | RetryLater | CalledOff


def decide(
    send: Send, exchange: Exchange, policy: CampaignPolicy, names: WireNames, access: Access, now: Now
) -> Decision:
    """Return what follows from an attempt's end, and write it into the members' histories where they go on.

    Tells `access` whether the platform let us in.
    """
    answer = exchange.answer
    ruling = meaning(answer, policy, contacts=len(send.members))
    if isinstance(answer, Answered) and exchange.started_at is None:
        ruling = Ruling.ACCESS_REFUSED  # a proxy's word about us, whatever its status means where a request was read
    settles = access.settles_refusals
    _tell_access(send, answer, ruling, access, now)
    if not send.members:
        return Finished(ruling=ruling, items=())
    if ruling in REFUSALS and not (settles and ruling is not Ruling.ACCESS_REFUSED):
        send.response = _words(answer)
        send.tried(Fate.EXCUSED, exchange.started_at)
        if ruling is Ruling.HALVE:
            return Halve(ruling=ruling, queue_end=QueueEnd.BACK)
        return RetryLater(ruling=ruling, fate=Fate.EXCUSED)
    if ruling in FATE_OF:
        return _later(send, exchange, ruling, policy, access, now)
    match ruling:
        case Ruling.ACCEPTED:
            assert isinstance(answer, Answered)
            return Finished(ruling=ruling, items=_accepted(send, exchange, answer, names))
        case Ruling.HALVE:
            send.tried(Fate.EXCUSED, exchange.started_at)
            return Halve(ruling=ruling)
        case Ruling.CONTACT_REFUSED | Ruling.CAMPAIGN_REFUSED:
            return Finished(ruling=ruling, items=_refused(send, exchange, REASON_OF[ruling], names))
        case Ruling.WITHHELD:
            was_probe = isinstance(answer, NoConnectionYet) and access.one_at_a_time
            return CalledOff(ruling=ruling, queue_end=QueueEnd.BACK if was_probe else QueueEnd.FRONT)
        case _:
            raise AssertionError(ruling)


def decide_whatever_it_says(
    send: Send,
    exchange: Exchange,
    policy: CampaignPolicy,
    names: WireNames,
    access: Access,
    now: Now,
    misread: list[Exception],
) -> Decision:
    """Return what follows, by the answer's head alone where reading its body fails in a way that nobody expected.

    Such an error goes to `misread`: were it let through, it would end the process, and the next one would send again.
    `access` may hear of the answer twice then, which says no more than once.
    """
    try:
        return decide(send, exchange, policy, names, access, now)
    except Exception as error:
        answer = exchange.answer
        if not isinstance(answer, Answered) or answer.body is None:
            raise
        misread.append(error)
        return decide(send, replace(exchange, answer=replace(answer, body=None)), policy, names, access, now)


NOT_DELIVERED_RULINGS = frozenset({Ruling.NOT_DELIVERED, Ruling.NOT_DELIVERED_UNCOUNTED})

REASON_OF = {
    Ruling.CONTACT_REFUSED: Reason.CONTACT_REFUSED,
    Ruling.CAMPAIGN_REFUSED: Reason.CAMPAIGN_REFUSED,
}

FATE_OF = {
    Ruling.NOT_DELIVERED: Fate.FAILED,
    Ruling.NOT_DELIVERED_UNCOUNTED: Fate.PUT_OFF,
    Ruling.UNKNOWN_SERVER_ERROR: Fate.ERRED,
    Ruling.UNKNOWN_ANSWER_LOST: Fate.LOST,
}
"""What an attempt came to after which another one follows, as the budgets and the policy allow."""


def _later(
    send: Send, exchange: Exchange, ruling: Ruling, policy: CampaignPolicy, access: Access, now: Now
) -> Decision:
    """Another attempt follows. Where none may, and the attempt stays open in the journal, every member is in doubt.

    Members may have different histories: those alone whose budgets are spent are closed before the others go on.
    """
    answer = exchange.answer
    fate = Fate.EXCUSED if isinstance(answer, Unreachable) and access.one_at_a_time else FATE_OF[ruling]
    send.response = _words(answer) or send.response
    send.tried(fate, exchange.started_at)
    if fate.is_unknown and None not in give_up_reasons(send, policy, access, now).values():
        return Finished(ruling=ruling, items=[_in_doubt(send, event, now) for event in send.members])
    return RetryLater(ruling=ruling, fate=fate)


def stopped(ending: tuple[Status, Reason], now: Now) -> Verdict:
    """Return the verdict of an event that an operator has stopped, doubts apart."""
    return Verdict(status=ending[0], reason=ending[1], completed_at=now.wall)


def superseded(stays: Event, reason: Reason, now: Now) -> Verdict:
    """Return the verdict of an event whose place another one takes, doubts apart."""
    related = Related(event_id=stays.event_id, partition=stays.partition.number, offset=stays.offset)
    return Verdict(status=Status.SUPERSEDED, reason=reason, related=related, completed_at=now.wall)


def give_up_reasons(send: Send, policy: CampaignPolicy, access: Access, now: Now) -> dict[History, Reason | None]:
    """Return why members with a history are given up, None where they are not."""
    reasons: dict[History, Reason | None] = {}
    for history in send.histories():
        since = history.first_tried_at
        seconds = 0.0 if since is None else access.tried_seconds(send.campaign_id, since, now)
        reasons[history] = given_up(history, policy, tried_seconds=seconds)
    return reasons


def _tell_access(send: Send, answer: Answer, ruling: Ruling, access: Access, now: Now) -> None:
    turn = (send.campaign_id, send.immediate)
    if isinstance(answer, Unreachable):
        access.connect_failed(now)
    elif isinstance(answer, NoConnectionYet):
        access.connect_deadline_passed(turn, answer.waited_seconds, now)
    elif not isinstance(answer, Withheld):
        access.reached(send.campaign_id, now, failed=_is_failure(answer, ruling))
    if ruling is Ruling.ACCEPTED:
        access.accepted(send.campaign_id, now)
    elif ruling is Ruling.ACCESS_REFUSED:
        access.access_refused(turn, now)
    elif ruling in REFUSALS:
        access.request_refused(turn, now)
    elif ruling is not Ruling.WITHHELD:
        access.attempt_inconclusive(turn, now)
    if isinstance(answer, Answered) and answer.retry_after_seconds and ruling in NOT_DELIVERED_RULINGS:
        everybody = answer.status == UNAVAILABLE
        access.asked_to_wait(None if everybody else send.campaign_id, answer.retry_after_seconds, now)


def _is_failure(answer: Answer, ruling: Ruling) -> bool:
    """Return whether the platform failed: a lost answer, or a 5xx that nobody has given another meaning."""
    is_error = isinstance(answer, Answered) and answer.status >= SERVER_ERROR
    return isinstance(answer, Lost) or (is_error and ruling in FATE_OF)


def _words(answer: Answer) -> Response | None:
    return read_refused(answer.body, answer.status) if isinstance(answer, Answered) else None


def _accepted(send: Send, exchange: Exchange, answer: Answered, names: WireNames) -> Items:
    reading = read_accepted(answer.body, answer.status, send.members, names)
    items: list[tuple[Verdict, Sequence[Event]]] = []
    named: set[int] = set()
    for event, words in reading.rejected:
        named.add(id(event))
        rejected = _verdict(send, exchange, Status.REJECTED, Reason.CONTACT_REFUSED, words)
        items.append((_of_member(rejected, event.history), [event]))
    if reading.suspected:
        named.update(map(id, reading.suspected))
        reported = Reason.PLATFORM_REPORTED_ERRORS
        items += _grouped(
            _verdict(send, exchange, Status.ACCEPTED, reported, reading.response), send, reading.suspected
        )
    others = [event for event in send.members if id(event) not in named] if named else send.members
    accepted = _verdict(send, exchange, Status.ACCEPTED, reading.reason, reading.response)
    return [*items, *_grouped(accepted, send, others)]


def _refused(send: Send, exchange: Exchange, reason: Reason, names: WireNames) -> Items:
    answer, members = exchange.answer, send.members
    assert isinstance(answer, Answered)
    if len(members) == 1:
        words = read_refused_contact(answer.body, answer.status, members[0], names)
    else:
        words = read_refused(answer.body, answer.status)
    return _grouped(_verdict(send, exchange, Status.REJECTED, reason, words), send, members)


def _verdict(
    send: Send, exchange: Exchange, status: Status, reason: Reason | None, response: Response | None
) -> Verdict:
    return Verdict(
        status=status,
        reason=reason,
        send_id=send.send_id,
        attempts=1,
        # As results tell them, already here: this one is made for each send, and need not be made again.
        dispatched_at=None if exchange.started_at is None else millisecond_of(exchange.started_at),
        completed_at=millisecond_of(exchange.finished_at),
        response=response,
    )


def _grouped(verdict: Verdict, send: Send, members: Sequence[Event]) -> Items:
    """Return members with their verdicts: one for all who share a history."""
    if not members:
        return []
    if send.histories() == [UNTRIED]:
        return [(verdict, members)]
    groups: dict[History, list[Event]] = {}
    for event in members:
        groups.setdefault(event.history, []).append(event)
    return [(_of_member(verdict, history), group) for history, group in groups.items()]


def _of_member(verdict: Verdict, history: History) -> Verdict:
    """Return the verdict of a member that went through this before.

    An acceptance after an attempt of unknown fate is marked; a refusal after one is in doubt: it says that this
    request texted nobody, and nothing about the one before.
    """
    verdict = replace(verdict, attempts=history.attempts + 1)
    if not history.lost:
        return verdict
    if verdict.status is Status.ACCEPTED:
        return replace(verdict, possible_duplicate=True)
    return replace(verdict, status=Status.IN_DOUBT, reason=history.doubt)


def closing_verdict(event: Event, verdict: Verdict) -> Verdict:
    """Return the verdict of an event that will not be tried (again); doubt dominates.

    Whoever may have been texted is `in_doubt`, whatever else came to be the end of it.
    """
    history = event.history
    if history is UNTRIED:
        return verdict
    verdict = replace(verdict, attempts=history.attempts, dispatched_at=history.last_tried_at)
    if not history.lost:
        return verdict
    return replace(verdict, status=Status.IN_DOUBT, reason=history.doubt, related=None)


def _in_doubt(send: Send, event: Event, now: Now) -> tuple[Verdict, list[Event]]:
    failed = Verdict(status=Status.FAILED, send_id=send.send_id, completed_at=now.wall, response=send.response)
    return closing_verdict(event, failed), [event]

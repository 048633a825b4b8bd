"""Turns what the engine has done into facts for logs and metrics, per batch. Changes nothing."""

from collections import Counter
from collections.abc import Sequence

from consumer.core.commands import Fetched
from consumer.core.event import Event, Invalid
from consumer.core.journal.lane import Settlement
from consumer.core.outcome import Reason, Status
from consumer.core.pipeline import Pipeline
from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import Answer, Answered, Exchange, NoConnectionYet, Withheld, Withholding
from consumer.core.platform.post import REFUSALS, Ruling
from consumer.core.sending.send import QueueEnd, Send
from consumer.core.sending.settle import CalledOff, Decision, Finished, Halve, RetryLater
from consumer.core.terms import Instant, Now, Partition, Ticks
from consumer.service.facts import AnswerClass, Facts, Priority, RetryReason, StopWhy

CLASS_OF: dict[Ruling, AnswerClass] = {
    Ruling.ACCEPTED: AnswerClass.ACCEPTED,
    Ruling.HALVE: AnswerClass.REFUSED,
    Ruling.CONTACT_REFUSED: AnswerClass.REFUSED,
    Ruling.CAMPAIGN_REFUSED: AnswerClass.REFUSED,
    Ruling.ACCESS_REFUSED: AnswerClass.DENIED,
    Ruling.NOT_DELIVERED: AnswerClass.NOT_DELIVERED,
    Ruling.NOT_DELIVERED_UNCOUNTED: AnswerClass.NOT_DELIVERED,
    Ruling.UNKNOWN_SERVER_ERROR: AnswerClass.UNKNOWN,
    Ruling.UNKNOWN_ANSWER_LOST: AnswerClass.UNKNOWN,
    Ruling.WITHHELD: AnswerClass.WITHHELD,
}

DOUBT_OF: dict[Ruling, Reason] = {
    Ruling.UNKNOWN_SERVER_ERROR: Reason.SERVER_ERROR,
    Ruling.UNKNOWN_ANSWER_LOST: Reason.ANSWER_LOST,
}

REASON_OF: dict[Withholding, RetryReason] = {
    Withholding.EXPIRED: RetryReason.DEADLINE,
    Withholding.STALE_PROOF: RetryReason.NO_PROOF,
    Withholding.STOPPED: RetryReason.STOPPED,
    Withholding.NOT_OURS: RetryReason.NOT_OURS,
}

UNAVAILABLE = 503


class EngineTelemetry:
    """Watches what the engine does."""

    def __init__(self, facts: Facts, pipeline: Pipeline) -> None:
        self._facts = facts
        self._pipeline = pipeline
        self._why_stopped: StopWhy | None = None
        self._stopped_at = Ticks(0.0)
        self._is_let_in = False
        self.results_by_status: dict[Status, int] = {}

    def fetched(self, partition: Partition, fetched: Fetched) -> None:
        """A batch was read and decoded."""
        records = fetched.records
        self._facts.records_read(partition, count=len(records), value_bytes=fetched.value_bytes)
        for lookalike, count in fetched.lookalikes.items():
            self._facts.unknown_field(partition, name=lookalike.name, meant=lookalike.meant, count=count)
        if Invalid in set(map(type, records)):  # rare: one check for the whole batch
            for reason, count in Counter([record.reason for record in records if type(record) is Invalid]).items():
                self._facts.decoded_invalid(partition, reason=reason, count=count)

    def settled(self, settlements: Sequence[Settlement]) -> None:
        """Outcomes are proven."""
        counts: dict[tuple[Status, Reason | None], int] = {}
        possible_duplicates = 0
        for settlement in settlements:
            for verdict, records in settlement.items:
                ending = (verdict.status, verdict.reason)
                counts[ending] = counts.get(ending, 0) + len(records)
                possible_duplicates += len(records) if verdict.possible_duplicate else 0
        for (status, reason), count in counts.items():
            self.results_by_status[status] = self.results_by_status.get(status, 0) + count
            self._facts.results_settled(status=status, reason=reason, count=count)
        if possible_duplicates:
            self._facts.possible_duplicates(count=possible_duplicates)

    def posted(self, send: Send) -> None:
        """A request's first byte is written next."""
        self._facts.send_posted(campaign_id=send.campaign_id, priority=_priority(send), contacts=len(send.members))

    def answered(self, send: Send, members: Sequence[Event], exchange: Exchange, decision: Decision, now: Now) -> None:
        """An attempt ended."""
        answer = exchange.answer
        status = answer.status if isinstance(answer, Answered) else None
        began_at = exchange.started_at
        self._facts.send_answered(
            answer=CLASS_OF[decision.ruling],
            status=status,
            seconds=None if began_at is None else max(0.0, exchange.finished_at - began_at),
            contacts=len(members),
        )
        match decision:
            case Finished():
                if decision.ruling is Ruling.ACCEPTED:
                    self._accepted(send, members, exchange.finished_at)
            case Halve():
                self._facts.send_split(campaign_id=send.campaign_id, status=status or 0, contacts=len(members))
                if decision.queue_end is QueueEnd.BACK:  # it settles nothing: both halves are tried again
                    self._retried(send, answer, decision.ruling, now, contacts=len(members))
            case RetryLater() | CalledOff():
                self._retried(send, answer, decision.ruling, now, contacts=len(members))
        if decision.ruling in DOUBT_OF:
            self._facts.attempts_unknown(reason=DOUBT_OF[decision.ruling], contacts=len(members))
        self._report_access(send.campaign_id, decision, status, now)

    def _retried(self, send: Send, answer: Answer, ruling: Ruling, now: Now, *, contacts: int) -> None:
        self._facts.send_retried(
            campaign_id=send.campaign_id,
            reason=_retry_reason(ruling, answer),
            delay_seconds=max(0.0, send.ready_at - now.steady),
            contacts=contacts,
        )

    def _accepted(self, send: Send, members: Sequence[Event], at: Instant) -> None:
        self._facts.accepted(
            priority=_priority(send),
            delays_seconds=[at - event.received_at for event in members],
            event_delays_seconds=[at - event.occurred for event in members],
        )

    def _report_access(self, campaign_id: int, decision: Decision, status: int | None, now: Now) -> None:
        access, ruling = self._pipeline.access, decision.ruling
        why = self._why(decision, now)
        if why is not None:
            if self._why_stopped is None or (why is StopWhy.UNREACHABLE) != (self._why_stopped is StopWhy.UNREACHABLE):
                self._facts.dispatch_stopped(why=why)
                self._why_stopped, self._stopped_at = why, now.steady
            if ruling in REFUSALS or why is StopWhy.UNREACHABLE:
                self._facts.probe_failed(why=why, status=status, campaign_id=campaign_id)
        elif not access.one_at_a_time and (self._why_stopped is not None or not self._is_let_in):
            stopped_seconds = 0.0 if self._why_stopped is None else now.steady - self._stopped_at
            self._facts.dispatch_resumed(stopped_seconds=stopped_seconds)
            self._why_stopped = None
            if access.refused:
                self._facts.dispatch_narrowed(refused_campaigns=list(access.refused))
        elif ruling is Ruling.ACCESS_REFUSED:
            refused = len(access.refused)
            self._facts.campaign_refused(campaign_id=campaign_id, status=status or 0, refused_campaigns=refused)
        self._is_let_in = self._is_let_in or not access.one_at_a_time

    def _why(self, decision: Decision, now: Now) -> StopWhy | None:
        """Return why only one request at a time may start; None where more may, or nothing was refused yet."""
        access = self._pipeline.access
        if access.state(now) is AccessState.UNREACHABLE:
            return StopWhy.UNREACHABLE
        if access.is_stopped or (access.turns_us_away and decision.ruling is Ruling.ACCESS_REFUSED):
            return StopWhy.DENIED
        return StopWhy.FIRST_CONTACT if access.turns_us_away else None


def _priority(send: Send) -> Priority:
    return Priority.IMMEDIATE if send.immediate else Priority.NORMAL


def _retry_reason(ruling: Ruling, answer: Answer) -> RetryReason:
    match ruling:
        case Ruling.WITHHELD if isinstance(answer, NoConnectionYet):
            return RetryReason.DEADLINE
        case Ruling.WITHHELD:
            return REASON_OF[answer.why] if isinstance(answer, Withheld) else RetryReason.NO_PROOF
        case Ruling.UNKNOWN_SERVER_ERROR:
            return RetryReason.SERVER_ERROR
        case Ruling.UNKNOWN_ANSWER_LOST:
            return RetryReason.ANSWER_LOST
        case Ruling.NOT_DELIVERED | Ruling.NOT_DELIVERED_UNCOUNTED:
            if not isinstance(answer, Answered):
                return RetryReason.UNREACHABLE
            return RetryReason.UNAVAILABLE if answer.status == UNAVAILABLE else RetryReason.THROTTLED
        case _:
            return RetryReason.DENIED

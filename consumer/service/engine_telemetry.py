"""Turns what the engine has done into facts for logs and metrics, per batch. Changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from consumer.core.commands import Commands, Fetched
from consumer.core.event import Decoded, Event, Invalid
from consumer.core.journal.lane import Settlement
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.pipeline import Pipeline
from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import (
    SERVER_ERROR,
    UNAVAILABLE,
    Answer,
    Answered,
    Exchange,
    NoConnectionYet,
    Withheld,
    Withholding,
)
from consumer.core.platform.post import REFUSALS, Ruling
from consumer.core.sending.send import QueueEnd, Send
from consumer.core.sending.settle import CalledOff, Decision, Finished, Halve, RetryLater
from consumer.core.sending.window import CloseWhy
from consumer.core.terms import Instant, Now, Offset, Partition, SendId, Ticks
from consumer.service.facts import AnswerClass, Facts, Priority, RequestAttempt, RetryReason, StopWhy
from consumer.service.objectives import NOTHING, ObjectiveCounts, Objectives

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


class EngineTelemetry:
    """Watches what the engine does."""

    def __init__(self, facts: Facts, pipeline: Pipeline) -> None:
        self._facts = facts
        self._pipeline = pipeline
        self._objectives = Objectives(pipeline.policies, pipeline.access.holds)
        self._why_stopped: StopWhy | None = None
        self._stopped_at = Ticks(0.0)
        self._is_let_in = False
        self.results_by_status: dict[Status, int] = {}

    def fetched(self, partition: Partition, fetched: Fetched) -> None:
        """A batch was read and decoded."""
        records = fetched.records
        self._facts.records_read(partition, count=len(records), value_bytes=fetched.value_bytes)
        for lookalike, count in fetched.lookalikes.items():
            among = [record.offset for record in (records[0], records[-1])]
            self._facts.unknown_field(partition, name=lookalike.name, meant=lookalike.meant, count=count, among=among)
        if Invalid in set(map(type, records)):  # rare: one check for the whole batch
            invalid: dict[Reason, list[Offset]] = {}
            for record in records:
                if type(record) is Invalid:
                    invalid.setdefault(record.reason, []).append(record.offset)
            for reason, offsets in invalid.items():
                self._facts.decoded_invalid(partition, reason=reason, offsets=offsets)

    def read_again(self, partition: Partition, *, count: int) -> None:
        """So many records were read again, to take in what has room of those that were parked."""
        if count:
            self._facts.records_read_again(partition, count=count)

    def turned(self, commands: Commands, now: Now) -> None:
        """The pipeline has taken a turn."""
        if commands.closed:
            ages: dict[CloseWhy, list[float]] = {}
            for window in commands.closed:
                ages.setdefault(window.why, []).append(now.steady - window.arrived)
            for why, seconds in ages.items():
                self._facts.windows_closed(why=why, ages_seconds=seconds)
        if commands.checkpoint_seconds:
            self._facts.checkpoints_proven(seconds=commands.checkpoint_seconds)
        if commands.publications:
            self.settled(commands.publications, now)

    def settled(self, settlements: Sequence[Settlement], now: Now) -> None:
        """Outcomes are proven."""
        settled: dict[tuple[Status, Reason | None, int | None, SendId | None], list[Decoded]] = {}
        doubled: dict[tuple[int | None, SendId | None], list[Decoded]] = {}
        judged: list[ObjectiveCounts] = []
        for (_, campaign_id), alike in _by_verdict(settlements).items():
            verdict, records = alike.verdict, alike.records
            settled.setdefault((verdict.status, verdict.reason, campaign_id, verdict.send_id), []).extend(records)
            judged.append(self._objectives.judge(verdict, records, campaign_id, now, alike.oldest_ms))
            if verdict.possible_duplicate:
                doubled.setdefault((campaign_id, verdict.send_id), []).extend(records)
        for (status, reason, campaign_id, send_id), records in settled.items():
            self.results_by_status[status] = self.results_by_status.get(status, 0) + len(records)
            self._facts.results_settled(
                status=status, reason=reason, campaign_id=campaign_id, send_id=send_id, records=records
            )
        for (campaign_id, send_id), records in doubled.items():
            self._facts.possible_duplicates(campaign_id=campaign_id, send_id=send_id, records=records)
        self._judged(judged)

    def _judged(self, judged: Sequence[ObjectiveCounts]) -> None:
        normal, normal_good, immediate, immediate_good = map(sum, zip(NOTHING, *judged, strict=True))
        if normal:
            self._facts.objectives_judged(priority=Priority.NORMAL, events=normal, good=normal_good)
        if immediate:
            self._facts.objectives_judged(priority=Priority.IMMEDIATE, events=immediate, good=immediate_good)

    def posted(self, send: Send, now: Now) -> None:
        """A request's first byte is written next."""
        waited_seconds = None if send.closed_at is None else now.steady - send.closed_at
        self._facts.send_posted(_request(send, send.members), waited_seconds=waited_seconds)

    def answered(self, send: Send, members: Sequence[Event], exchange: Exchange, decision: Decision, now: Now) -> None:
        """An attempt ended."""
        answer, request = exchange.answer, _request(send, members)
        status = answer.status if isinstance(answer, Answered) else None
        began_at = exchange.started_at
        self._facts.send_answered(
            request,
            answer=CLASS_OF[decision.ruling],
            status=status,
            seconds=None if began_at is None else max(0.0, exchange.finished_at - began_at),
        )
        match decision:
            case Finished():
                if decision.ruling is Ruling.ACCEPTED:
                    self._accepted(request, exchange.finished_at)
            case Halve():
                self._facts.send_split(request, status=status or 0)
                if decision.queue_end is QueueEnd.BACK:  # it settles nothing: both halves are tried again
                    self._retried(request, send, answer, decision.ruling, now)
            case RetryLater() | CalledOff():
                self._retried(request, send, answer, decision.ruling, now)
        if decision.ruling in DOUBT_OF:
            self._facts.attempts_unknown(request, reason=DOUBT_OF[decision.ruling])
        self._report_access(request, decision, status, now)
        if not isinstance(answer, Withheld | NoConnectionYet):
            self._facts.request_ended(request, exchange, answer=CLASS_OF[decision.ruling])

    def _retried(self, request: RequestAttempt, send: Send, answer: Answer, ruling: Ruling, now: Now) -> None:
        self._facts.send_retried(
            request, reason=_retry_reason(ruling, answer), delay_seconds=max(0.0, send.ready_at - now.steady)
        )

    def _accepted(self, request: RequestAttempt, at: Instant) -> None:
        if request.members:
            self._facts.accepted(
                request,
                accepted_at=at,
                delays_seconds=[at - event.received_at for event in request.members],
                event_delays_seconds=[at - event.occurred for event in request.members],
            )

    def _report_access(self, request: RequestAttempt, decision: Decision, status: int | None, now: Now) -> None:
        access, ruling = self._pipeline.access, decision.ruling
        if ruling is Ruling.ACCEPTED and self._is_let_in and self._why_stopped is None and not access.one_at_a_time:
            return  # nothing stands in the way, before and after
        why = self._why(decision, now)
        if why is not None:
            if self._why_stopped is None or _is_platforms(why) != _is_platforms(self._why_stopped):
                self._facts.dispatch_stopped(why=why)
                self._why_stopped, self._stopped_at = why, now.steady
            if ruling in REFUSALS or why is StopWhy.UNREACHABLE or (why is StopWhy.FAILING and _is_failure(status)):
                self._facts.probe_failed(request, why=why, status=status)
        elif not access.one_at_a_time and (self._why_stopped is not None or not self._is_let_in):
            stopped_seconds = 0.0 if self._why_stopped is None else now.steady - self._stopped_at
            self._facts.dispatch_resumed(stopped_seconds=stopped_seconds)
            self._why_stopped = None
            if access.refused:
                self._facts.dispatch_narrowed(refused_campaigns=list(access.refused))
        elif ruling is Ruling.ACCESS_REFUSED:
            refused = len(access.refused)
            self._facts.campaign_refused(request, status=status or 0, refused_campaigns=refused)
        self._is_let_in = self._is_let_in or not access.one_at_a_time

    def _why(self, decision: Decision, now: Now) -> StopWhy | None:
        """Return why only one request at a time may start; None where more may, or nothing was refused yet."""
        access = self._pipeline.access
        if access.state(now) is AccessState.UNREACHABLE:
            return StopWhy.UNREACHABLE
        if access.state(now) is AccessState.FAILING:
            return StopWhy.FAILING
        if access.is_stopped or (access.turns_us_away and decision.ruling is Ruling.ACCESS_REFUSED):
            return StopWhy.DENIED
        return StopWhy.FIRST_CONTACT if access.turns_us_away else None


def _is_failure(status: int | None) -> bool:
    return status is None or status >= SERVER_ERROR


def _is_platforms(why: StopWhy | None) -> bool:
    """Return whether the platform is in trouble; else it has something against us."""
    return why in {StopWhy.UNREACHABLE, StopWhy.FAILING}


def _request(send: Send, members: Sequence[Event]) -> RequestAttempt:
    return RequestAttempt(
        send_id=send.send_id,
        campaign_id=send.campaign_id,
        attempt=send.attempt,
        priority=_priority(send),
        members=members,
    )


@dataclass(slots=True)
class _Alike:
    """Records with one verdict."""

    verdict: Verdict
    records: list[Decoded]
    oldest_ms: int | None
    """A settlement's, of all that these come from."""


def _by_verdict(settlements: Iterable[Settlement]) -> dict[tuple[int, int | None], _Alike]:
    """Return records by their verdict's identity and their campaign: a send has members of several partitions."""
    together: dict[tuple[int, int | None], _Alike] = {}
    for settlement in settlements:
        oldest_ms = settlement.oldest_ms
        for verdict, records in settlement.items:
            for campaign_id, part in _by_campaign(records, verdict.send_id):
                known = together.get((id(verdict), campaign_id))
                if known is None:
                    together[id(verdict), campaign_id] = _Alike(verdict, list(part), oldest_ms)
                    continue
                known.records.extend(part)
                if known.oldest_ms is not None:
                    known.oldest_ms = None if oldest_ms is None else min(known.oldest_ms, oldest_ms)
    return together


def _by_campaign(records: Sequence[Decoded], send_id: SendId | None) -> Iterator[tuple[int | None, Sequence[Decoded]]]:
    """Yield records that got one verdict by their campaigns; what one send carried is of one."""
    if send_id is not None:
        yield _campaign_of(records[0]), records
        return
    parts: dict[int | None, list[Decoded]] = {}
    for record in records:
        parts.setdefault(_campaign_of(record), []).append(record)
    yield from parts.items()


def _campaign_of(record: Decoded) -> int | None:
    return record.group.campaign_id if type(record) is Event else record.campaign_id


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

"""The facts of `telemetry.py` that are about sends and their outcomes, as log lines and metrics. Decides nothing.

Each line names what it is about: campaign, send, attempt, and the records by partition and offset.
"""

import logging
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, Protocol

from consumer.core.event import Decoded
from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Exchange
from consumer.core.sending.window import CloseWhy
from consumer.core.terms import Instant, SendId
from consumer.edge.telemetry.campaign_labels import CampaignLabels
from consumer.edge.telemetry.cures import OUTCOME_CURES, PROBE_EVENTS, RETRY_CURES, code, stop_cure
from consumer.edge.telemetry.log import short
from consumer.edge.telemetry.metrics import Metrics
from consumer.edge.telemetry.places import places
from consumer.edge.telemetry.problem_lines import ProblemLines
from consumer.service.facts import AnswerClass, Priority, RequestAttempt, RetryReason, StopWhy

NAMED_CAMPAIGNS: Final = 20


class SendLines(Enum):
    """From which level on each request has a line, as `LOG__SENDS` chooses."""

    AT_INFO = logging.INFO
    AT_DEBUG = logging.DEBUG


class Spans(Protocol):
    """Makes a span of each request; `traces.py` does, where traces are on."""

    def add(self, request: RequestAttempt, exchange: Exchange, answer: AnswerClass) -> None: ...


class SendTelemetry:
    """Reports what becomes of sends."""

    def __init__(
        self,
        metrics: Metrics,
        lines: ProblemLines,
        *,
        campaigns: CampaignLabels,
        sends: SendLines,
        spans: Spans | None,
    ) -> None:
        self.metrics = metrics
        self._spans = spans
        self._lines = lines
        self._sends = sends
        self._campaigns = campaigns

    @property
    def keeps_traces(self) -> bool:
        """Whether traces are to be read from records and carried on."""
        return self._spans is not None

    # Requests

    def windows_closed(self, *, why: CloseWhy, ages_seconds: Sequence[float]) -> None:
        self.metrics.window_age.observe_all((why,), ages_seconds)

    def send_posted(self, request: RequestAttempt, *, waited_seconds: float | None) -> None:
        if waited_seconds is not None:
            self.metrics.queue_wait.observe((request.priority,), waited_seconds)
        label = self._campaigns.of(request.campaign_id, count=request.contacts)
        self.metrics.requests.add((label, request.priority), 1)
        self.metrics.request_contacts.observe((request.priority,), request.contacts)

    def send_answered(
        self, request: RequestAttempt, *, answer: AnswerClass, status: int | None, seconds: float | None
    ) -> None:
        self.metrics.answers.add((answer, code(status)), 1)
        if seconds is not None:
            self.metrics.request_duration.observe((answer,), seconds)
        if self._lines.are_written(self._sends.value):
            took = None if seconds is None else short(seconds)
            fields = {"answer": answer.value, "status": status, "seconds": took, **_about(request)}
            self._lines.log.log(self._sends.value, "answered", **fields)

    def request_ended(self, request: RequestAttempt, exchange: Exchange, *, answer: AnswerClass) -> None:
        if self._spans is not None:
            self._spans.add(request, exchange, answer)

    def send_split(self, request: RequestAttempt, *, status: int) -> None:
        self.metrics.splits.add((), 1)
        cure = "the results of the refused contacts say rejected"
        self._lines.problem(
            "request refused, halving it",
            (request.campaign_id, status),
            lambda: {"status": status, **_about(request)},
            cure=cure,
            family=status,
        )

    def send_retried(self, request: RequestAttempt, *, reason: RetryReason, delay_seconds: float) -> None:
        self.metrics.retries.add((reason,), 1)
        cure = RETRY_CURES.get(reason)
        if cure is None:  # denied: `probe_failed` reports it
            return
        concerns = (
            request.campaign_id if reason is RetryReason.THROTTLED else None
        )  # all others concern everybody alike
        self._lines.problem(
            "send put back",
            (reason, concerns),
            lambda: {"reason": reason.value, **_about(request), "delay_seconds": short(delay_seconds)},
            cure=cure,
            family=reason,
        )

    def attempts_unknown(self, request: RequestAttempt, *, reason: Reason) -> None:
        self.metrics.unknown.add((reason,), request.contacts)
        cure = "CAMPAIGN_DELIVERY__ON_UNKNOWN_OUTCOME decides: resend repeats and marks them, hold settles in_doubt"
        self._lines.problem(
            "attempt's fate is unknown", reason, lambda: {"reason": reason.value, **_about(request)}, cure=cure
        )

    # Access

    def dispatch_stopped(self, *, why: StopWhy) -> None:
        self.metrics.dispatch_stops.add((why,), 1)

    def probe_failed(self, request: RequestAttempt, *, why: StopWhy, status: int | None) -> None:
        event = PROBE_EVENTS[why]
        level = logging.WARNING if why in {StopWhy.UNREACHABLE, StopWhy.FAILING} else logging.ERROR
        self._lines.problem(
            event,
            (why, status),
            lambda: {"why": why.value, "status": status, **_about(request)},
            cure=stop_cure(why, status),
            level=level,
        )

    def campaign_refused(self, request: RequestAttempt, *, status: int, refused_campaigns: int) -> None:
        cure = "check what the key's role may send; its events wait, and fail after CAMPAIGN_DELIVERY__RETRY__MAX_AGE"
        self._lines.problem(
            "the platform refuses a campaign, probing",
            request.campaign_id,
            lambda: {"status": status, "refused_campaigns": refused_campaigns, **_about(request)},
            cure=cure,
            family="",
        )

    def dispatch_narrowed(self, *, refused_campaigns: Iterable[int]) -> None:
        cure = "check what the key's role may send; these campaigns are probed, all others go on"
        refused = sorted(refused_campaigns)
        fields = {"campaigns": refused[:NAMED_CAMPAIGNS], "count": len(refused)}
        self._lines.problem("the platform refuses single campaigns", "", fields, cure=cure)

    def dispatch_resumed(self, *, stopped_seconds: float) -> None:
        self._lines.log.info("the platform lets us in", after_seconds=short(stopped_seconds))

    # Outcomes

    def results_settled(
        self,
        *,
        status: Status,
        reason: Reason | None,
        campaign_id: int | None,
        send_id: SendId | None,
        records: Sequence[Decoded],
    ) -> None:
        count, metrics = len(records), self.metrics
        metrics.results.add((status, reason), count)
        if status is Status.INVALID or campaign_id is None:
            label = self._campaigns.known(campaign_id)
        else:
            label = self._campaigns.of(campaign_id, count=count)
        metrics.campaign_results.add((label, status, reason), count)
        if (status, reason) == (Status.CANCELLED, Reason.OPERATOR):
            metrics.cancelled.add((), count)
        if self._lines.are_written(logging.DEBUG):
            self._each_settled(status, reason, campaign_id, send_id, records)
        cure = OUTCOME_CURES.get((status, reason))
        if cure is not None and reason is not None:
            event = "events in doubt" if status is Status.IN_DOUBT else "events not sent"
            self._lines.problem(
                event,
                (reason, campaign_id),
                lambda: {"status": status.value, "reason": reason.value, **_of(campaign_id, send_id, records)},
                cure=cure,
                family=reason,
            )

    def _each_settled(
        self,
        status: Status,
        reason: Reason | None,
        campaign_id: int | None,
        send_id: SendId | None,
        records: Sequence[Decoded],
    ) -> None:
        for record in records:
            self._lines.log.debug(
                "settled",
                status=status.value,
                reason=None if reason is None else reason.value,
                campaign=campaign_id,
                send_id=send_id,
                event_id=record.event_id,
                partition=str(record.partition),
                offset=record.offset,
            )

    def objectives_judged(self, *, priority: Priority, events: int, good: int) -> None:
        self.metrics.slo_events.add((priority,), events)
        self.metrics.slo_good_events.add((priority,), good)

    def possible_duplicates(
        self, *, campaign_id: int | None, send_id: SendId | None, records: Sequence[Decoded]
    ) -> None:
        self.metrics.possible_duplicates.add((), len(records))
        cure = "their results say possibleDuplicate; CAMPAIGN_DELIVERY__ON_UNKNOWN_OUTCOME=hold avoids them"
        self._lines.problem(
            "contacts may have been texted twice",
            campaign_id,
            lambda: _of(campaign_id, send_id, records),
            cure=cure,
            family="",
        )

    def accepted(
        self,
        request: RequestAttempt,
        *,
        accepted_at: Instant,
        delays_seconds: Sequence[float],
        event_delays_seconds: Sequence[float],
    ) -> None:
        metrics, priority, delays = self.metrics, request.priority, sorted(delays_seconds)
        metrics.acceptance_delay.observe_all((priority,), delays)
        metrics.acceptance_delay.exemplify((priority,), request.send_id, delays[-1], accepted_at)
        metrics.event_delay.observe_all((priority,), event_delays_seconds)
        label = self._campaigns.of(request.campaign_id, count=0)
        metrics.campaign_acceptance_delay.observe_all((label,), delays)


def _about(request: RequestAttempt) -> dict[str, object]:
    return {
        "campaign": request.campaign_id,
        "send_id": request.send_id,
        "attempt": request.attempt,
        "contacts": request.contacts,
        **places(request.members),
    }


def _of(campaign_id: int | None, send_id: SendId | None, records: Sequence[Decoded]) -> dict[str, object]:
    return {"campaign": campaign_id, "send_id": send_id, "count": len(records), **places(records)}

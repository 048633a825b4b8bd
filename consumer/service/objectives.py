"""The service's objectives: which events count for them, and which of those were accepted in time. Changes nothing.

Time runs from a record's Kafka timestamp, so that lag counts. What a sender or an operator has caused counts neither way:
rejected, invalid, repeated and cancelled events, those that were scheduled, that came too late to go out, or that were not in
time because they were held.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from consumer.core.event import Decoded, Event
from consumer.core.outcome import Status, Verdict
from consumer.core.platform.holds import Holds
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now

NORMAL_SECONDS: Final = 30.0
"""Beyond the window of its campaign, a normal event may take so long."""

IMMEDIATE_SECONDS: Final = 5.0

COUNTED: Final = frozenset({Status.ACCEPTED, Status.FAILED, Status.EXPIRED, Status.IN_DOUBT})


class ObjectiveCounts(NamedTuple):
    """Events that count for the objectives, and those of them that were accepted in time."""

    normal: int
    normal_good: int
    immediate: int
    immediate_good: int


NOTHING: Final = ObjectiveCounts(0, 0, 0, 0)


class Objectives:
    """Judges outcomes, a batch at a time."""

    def __init__(self, policies: Policies, holds: Holds) -> None:
        self._policies = policies
        self._holds = holds
        name = policies.field_names.scheduled_at
        self._scheduled = None if name is None else f'"{name}":'.encode()

    def judge(
        self,
        verdict: Verdict,
        records: Sequence[Decoded],
        campaign_id: int | None,
        now: Now,
        oldest_ms: int | None = None,
    ) -> ObjectiveCounts:
        """Return what counts of records of one campaign that got one verdict.

        Where none of them is immediate, `oldest_ms` may say the earliest timestamp in Kafka, theirs or an earlier one.
        """
        if campaign_id is None or verdict.status not in COUNTED:
            return NOTHING
        events = self._unscheduled(cast("Sequence[Event]", records), are_one_group=verdict.send_id is not None)
        if not events:
            return NOTHING
        if verdict.status is Status.ACCEPTED:
            immediate = 0
            if oldest_ms is None:
                immediate = [event.immediate for event in events].count(True)
                oldest_ms = min([event.timestamp_ms for event in events])
            objective = IMMEDIATE_SECONDS if immediate else self._normal_seconds(campaign_id)
            if oldest_ms >= 0 and verdict.completed_at - oldest_ms / 1000 <= objective:
                normal = len(events) - immediate  # nearly always: nobody is asked alone
                return ObjectiveCounts(normal, normal, immediate, immediate)
        return self._each(verdict, events, campaign_id, now)

    def _normal_seconds(self, campaign_id: int) -> float:
        return self._policies.of(campaign_id).window_seconds + NORMAL_SECONDS

    def _unscheduled(self, events: Sequence[Event], *, are_one_group: bool) -> Sequence[Event]:
        name = self._scheduled
        if name is None or (are_one_group and name not in events[0].group.options):
            return events
        return [event for event in events if name not in event.group.options]

    def _each(self, verdict: Verdict, events: Sequence[Event], campaign_id: int, now: Now) -> ObjectiveCounts:
        objectives = (self._normal_seconds(campaign_id), IMMEDIATE_SECONDS)
        held = self._holds.held_spans(campaign_id, now)
        counts, good, ended_at = [0, 0], [0, 0], verdict.completed_at
        for event in events:
            published_at = Instant(event.timestamp_ms / 1000) if event.timestamp_ms >= 0 else event.received_at
            if verdict.status is Status.ACCEPTED and ended_at - published_at <= objectives[event.immediate]:
                good[event.immediate] += 1
            elif any(span.since < ended_at and published_at < span.until for span in held) or (
                verdict.status is Status.EXPIRED and self._came_too_late(event, published_at)
            ):
                continue
            counts[event.immediate] += 1
        return ObjectiveCounts(counts[False], good[False], counts[True], good[True])

    def _came_too_late(self, event: Event, published_at: Instant) -> bool:
        """Return whether an event was over when it was published."""
        is_old = published_at - event.occurred >= self._policies.max_event_age_seconds
        return is_old or (event.expires_at is not None and event.expires_at <= published_at)

"""Finds what is known of an event or a send: in hand, or among the last ones. Changes nothing, never shows a phone."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Final, Literal, TypedDict

from consumer.core.event import Event
from consumer.core.journal.lane import Lane
from consumer.core.pipeline import Pipeline
from consumer.core.sending.send import Send, SendStage
from consumer.core.terms import Instant, SendId
from consumer.service.recent_sends import RecentOutcome, RecentSend, RecentSends
from consumer.service.status_shape import FailureStatus

NEWEST_SENDS: Final = 50
EVENTS_SHOWN: Final = 100

SendState = Literal["queued", "proving", "posting", "ended"]
"""`queued`: waits for a slot, a limit or a retry. `proving`: its intent is on its way into the journal. `posting`: its
request may be out. `ended`: it settled its events, was halved, or went on as another send."""
EventState = Literal["in_window", "behind_person", "repeats", "queued", "proving", "posting", "settling", "ended"]
"""`behind_person`: waits for an earlier event of the same person. `repeats`: its ID is in hand already. `settling`: its
outcome is on its way into the journal. Otherwise as its send, or `in_window` before there is one."""

STATE_OF: Final[dict[SendStage, SendState]] = {
    SendStage.QUEUED: "queued",
    SendStage.PROVING: "proving",
    SendStage.POSTING: "posting",
    SendStage.OVER: "ended",
}


class FoundSend(TypedDict):
    """One send. Instants are RFC 3339, UTC; of a send that was tried several times they are its last request's."""

    send_id: str
    campaign: str
    priority: Literal["normal", "immediate"]
    contacts: int
    attempt: int
    state: SendState
    started_at: str | None
    ended_at: str | None
    took_seconds: float | None
    """From its last request's first byte to that one's end, to the microsecond: the two instants say milliseconds."""
    answer: str | None
    """What its last answer means, as in `campaign_answers_total`."""
    status: int | None
    message: str | None
    """The platform's words, masked."""


class FoundOutcome(TypedDict):
    """How an event ended, as its result says."""

    status: str
    reason: str | None


class FoundEvent(TypedDict):
    """One record with the event ID that was asked for, or a member of the send that was."""

    event_id: str
    campaign: str | None
    topic: str
    partition: int
    offset: int
    state: EventState
    send_id: str | None
    attempts: int
    """Requests that were started for it."""
    outcome: FoundOutcome | None


class Found(TypedDict):
    """What `GET /sends` answers. Both lists are bounded: 100 events, 50 sends."""

    events: Sequence[FoundEvent]
    sends: Sequence[FoundSend]


class Finder:
    """Answers `GET /sends`, on the event loop.

    An event in hand is found by a walk over all that are held: 7 ms where that is 100,000. A send of unknown campaign is
    found by one over all that are queued: 30 ms where each of those events is a send of its own.
    """

    def __init__(self, pipeline: Pipeline, recent: RecentSends) -> None:
        self._pipeline = pipeline
        self._recent = recent

    def newest(self) -> Found:
        """Return the sends whose requests started last."""
        names = [kept.send_id for kept in self._recent.newest(NEWEST_SENDS)]
        return Found(events=[], sends=self._told(names, self._sends_in_hand(names)))

    def event(self, event_id: str) -> Found:
        """Return what is known of records with this event ID, resends included, and of the sends that carried them."""
        held = list(self._held(event_id))
        in_hand = {send.send_id: send for _, event in held if (send := self._send_of(event)) is not None}
        ended = [_ended(event_id, outcome) for outcome in self._recent.outcomes_of(event_id)]
        events = [*(self._in_hand(lane, event) for lane, event in held), *ended][:EVENTS_SHOWN]
        names = dict.fromkeys(SendId(event["send_id"]) for event in events if event["send_id"] is not None)
        return Found(events=events, sends=self._told(list(names)[:NEWEST_SENDS], in_hand))

    def send(self, name: str) -> Found:
        """Return what is known of a send, and of its members if it is in hand."""
        send_id = SendId(name)
        in_hand, lanes = self._sends_in_hand([send_id]), self._pipeline.lanes
        send = in_hand.get(send_id)
        members = [] if send is None else send.members[:EVENTS_SHOWN]
        events = [self._in_hand(lanes[event.partition], event) for event in members if event.partition in lanes]
        return Found(events=events, sends=self._told([send_id], in_hand))

    def _held(self, event_id: str) -> Iterator[tuple[Lane, Event]]:
        for lane in self._pipeline.lanes.values():
            repeats = chain.from_iterable(lane.repeats.values())
            for event in [event for event in chain(lane.in_hand.values(), repeats) if event.event_id == event_id]:
                yield lane, event

    def _in_hand(self, lane: Lane, event: Event) -> FoundEvent:
        return FoundEvent(
            event_id=event.event_id,
            campaign=str(event.group.campaign_id),
            topic=event.partition.topic,
            partition=event.partition.number,
            offset=event.offset,
            state=self._state(lane, event),
            send_id=event.send_id,
            attempts=event.history.attempts,
            outcome=None,
        )

    def _state(self, lane: Lane, event: Event) -> EventState:
        pipeline = self._pipeline
        if lane.in_hand.get(event.fingerprint) is not event:
            return "repeats"
        send = self._send_of(event)
        if send is not None:
            return STATE_OF[send.stage]
        if pipeline.windows.find(event) is not None:
            return "in_window"
        queue = lane.persons.get(event.person)
        is_behind = type(queue) is deque and queue[0] is not event and event in queue
        return "behind_person" if is_behind else "settling"

    def _send_of(self, event: Event) -> Send | None:
        return self._pipeline.delivery.find(event) or self._pipeline.queue.find(event)

    def _sends_in_hand(self, names: Collection[SendId]) -> Mapping[SendId, Send]:
        """Return those of the named sends that are queued, out or set aside."""
        found = {name: send for name in names if (send := self._pipeline.delivery.named(name)) is not None}
        wanted = {name for name in names if name not in found and not self._is_over(name)}
        if wanted:
            found.update({send.send_id: send for send in self._pipeline.queue.sends() if send.send_id in wanted})
        return found

    def _is_over(self, name: SendId) -> bool:
        kept = self._recent.find(name)
        return kept is not None and kept.is_over

    def _told(self, names: Sequence[SendId], in_hand: Mapping[SendId, Send]) -> Sequence[FoundSend]:
        return [
            _found(kept, send)
            for name in names
            for kept, send in [(self._recent.find(name), in_hand.get(name))]
            if kept is not None or send is not None
        ]


def _found(kept: RecentSend | None, send: Send | None) -> FoundSend:
    """Return a send as it is in hand, and as it was last seen."""
    name, campaign_id, immediate, contacts, attempt = _names(kept, send)
    return FoundSend(
        send_id=name,
        campaign=str(campaign_id),
        priority="immediate" if immediate else "normal",
        contacts=contacts,
        attempt=attempt,
        state="ended" if send is None else STATE_OF[send.stage],
        started_at=None if kept is None else _instant(kept.started_at),
        ended_at=None if kept is None or kept.ended_at is None else _instant(kept.ended_at),
        took_seconds=None if kept is None or kept.ended_at is None else _seconds(kept.started_at, kept.ended_at),
        answer=None if kept is None or kept.answer is None else kept.answer.value,
        status=None if kept is None else kept.status,
        message=None if kept is None else kept.message,
    )


def _names(kept: RecentSend | None, send: Send | None) -> tuple[SendId, int, bool, int, int]:
    if send is not None:
        return send.send_id, send.campaign_id, send.immediate, len(send.members), send.attempt
    assert kept is not None
    return kept.send_id, kept.campaign_id, kept.immediate, kept.contacts, kept.attempt


def _ended(event_id: str, found: RecentOutcome) -> FoundEvent:
    ending = found.ending
    return FoundEvent(
        event_id=event_id,
        campaign=None if found.campaign_id is None else str(found.campaign_id),
        topic=found.partition.topic,
        partition=found.partition.number,
        offset=found.offset,
        state="ended",
        send_id=ending.send_id,
        attempts=ending.attempts,
        outcome=FoundOutcome(status=ending.status.value, reason=None if ending.reason is None else ending.reason.value),
    )


def _seconds(since: Instant, until: Instant) -> float:
    """Return what lies between; no less than nothing, whatever is done to the clock meanwhile."""
    return max(0.0, round(until - since, 6))


def _instant(at: Instant) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def failures_status(recent: RecentSends) -> Sequence[FailureStatus]:
    """Return the last failures, the newest first, as `/status` shows them."""
    return [
        FailureStatus(
            at=_instant(failure.at),
            send_id=failure.send_id,
            campaign=str(failure.campaign_id),
            contacts=failure.contacts,
            answer=failure.answer.value,
            status=failure.status,
            message=failure.message,
        )
        for failure in recent.failures()
    ]

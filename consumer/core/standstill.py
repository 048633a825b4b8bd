"""Where the oldest record in hand of a partition is: what its watermark waits for. Looks, moves nothing.

Asked only about a partition that stands still. The oldest record never waits behind another one of its person or its
ID, for those are older; so it is in one of these places, or it is lost.
"""

from dataclasses import dataclass
from enum import StrEnum

from consumer.core.journal.lane import Lane, Settlement
from consumer.core.pipeline import Pipeline
from consumer.core.sending.send import Send, SendStage
from consumer.core.terms import Now, Ticks


class WaitingPlace(StrEnum):
    """A place on an event's way, in words that end a sentence."""

    PARKED = "is parked: there is no room for its campaign"
    NOT_READ_AGAIN = "is parked, and not read again although there is room"
    WINDOW = "waits in an open window"
    QUEUE = "waits in the queue"
    HELD = "is of a campaign that an operator holds"
    SET_ASIDE = "is set aside for a partition that is unsure of its owner"
    PROVING = "waits for the proof of its intent"
    POSTING = "is in a request"
    WRITING = "waits for its outcome to be written"
    PUBLISHING = "waits for its result to be published"
    NOWHERE = "is nowhere on its way"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandstillExplanation:
    """Where the record is; `since` is when its request was proven, for one that is in a request."""

    place: WaitingPlace
    since: Ticks | None = None


def explain_standstill(pipeline: Pipeline, lane: Lane, now: Now) -> StandstillExplanation:
    """Return where the oldest record is whose result is not acknowledged."""
    offset = lane.watermark.value
    if offset == lane.watermark.parked.first:
        return StandstillExplanation(place=_parked(pipeline, lane, now))
    event = next((event for event in lane.in_hand.values() if event.offset == offset), None)
    if event is not None:
        if pipeline.windows.find(event) is not None:
            return StandstillExplanation(place=WaitingPlace.WINDOW)
        if pipeline.queue.find(event) is not None:
            held = pipeline.access.holds.holds_campaign(event.group.campaign_id)
            return StandstillExplanation(place=WaitingPlace.HELD if held else WaitingPlace.QUEUE)
        send = pipeline.delivery.find(event)
        if send is not None:
            return _in_a_send(send)
    settlements = (draft.token for draft in lane.ledger.drafts() if isinstance(draft.token, Settlement))
    if any(offset in settlement.offsets for settlement in settlements):
        return StandstillExplanation(place=WaitingPlace.WRITING)
    return StandstillExplanation(place=WaitingPlace.PUBLISHING if lane.publishing else WaitingPlace.NOWHERE)


def _parked(pipeline: Pipeline, lane: Lane, now: Now) -> WaitingPlace:
    campaigns = lane.parked.ranges[0].campaigns
    if any(pipeline.room.admits(campaign_id, lane.partition.topic, now, immediate=False) for campaign_id in campaigns):
        return WaitingPlace.NOT_READ_AGAIN
    held = pipeline.access.holds.holds_campaign
    return WaitingPlace.HELD if all(map(held, campaigns)) else WaitingPlace.PARKED


def _in_a_send(send: Send) -> StandstillExplanation:
    match send.stage:
        case SendStage.POSTING:
            return StandstillExplanation(place=WaitingPlace.POSTING, since=send.proven_at)
        case SendStage.PROVING:
            return StandstillExplanation(place=WaitingPlace.PROVING)
        case _:
            return StandstillExplanation(place=WaitingPlace.SET_ASIDE)

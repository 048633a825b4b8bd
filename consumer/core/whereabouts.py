"""Where the oldest record in hand of a partition is: what its watermark waits for. Looks everywhere, moves nothing.

Asked only about a partition that stands still. The oldest record never waits behind another one of its person or its
ID, for those are older; so it is in one of these places, or it is lost.
"""

from dataclasses import dataclass
from enum import StrEnum

from consumer.core.event import Event
from consumer.core.lane import Lane, Settlement
from consumer.core.pipeline import Pipeline
from consumer.core.send import Stage
from consumer.core.terms import Ticks


class Place(StrEnum):
    """A place on an event's way, in words that end a sentence."""

    WINDOW = "waits in an open window"
    QUEUE = "waits in the queue"
    SET_ASIDE = "is set aside for a partition that is unsure of its owner"
    PROVING = "waits for the proof of its intent"
    POSTING = "is in a request"
    WRITING = "waits for its outcome to be written"
    PUBLISHING = "waits for its result to be published"
    NOWHERE = "is nowhere on its way"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where the record is; `since` is when its request was proven, for one that is in a request."""

    place: Place
    since: Ticks | None = None


def whereabouts(pipeline: Pipeline, lane: Lane) -> Whereabouts:
    """Return where the oldest record is whose result is not acknowledged."""
    partition, offset = lane.partition, lane.watermark.value

    def is_it(event: Event) -> bool:
        return event.offset == offset and event.partition == partition

    if any(map(is_it, pipeline.windows.members())):
        return Whereabouts(place=Place.WINDOW)
    if any(any(map(is_it, send.members)) for send in pipeline.queue.sends()):
        return Whereabouts(place=Place.QUEUE)
    for send in pipeline.delivery.sends():
        if any(map(is_it, send.members)):
            match send.stage:
                case Stage.POSTING:
                    return Whereabouts(place=Place.POSTING, since=send.proven_at)
                case Stage.PROVING:
                    return Whereabouts(place=Place.PROVING)
                case _:
                    return Whereabouts(place=Place.SET_ASIDE)
    settlements = (draft.token for draft in lane.ledger.drafts() if isinstance(draft.token, Settlement))
    if any(offset in settlement.offsets for settlement in settlements):
        return Whereabouts(place=Place.WRITING)
    return Whereabouts(place=Place.PUBLISHING if lane.publishing else Place.NOWHERE)

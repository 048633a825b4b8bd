"""Turns operators' orders about campaigns into the fields of a log line. Writes no log line."""

from typing import assert_never

from consumer.core.platform.control import CampaignHold, Cancellation, Forgotten, Release, Said, UnreadableOrder
from schemas.instants import text_of


def order_fields(said: Said) -> dict[str, object]:
    """Return an order's operator, its reason, and what it is about."""
    match said:
        case CampaignHold():
            return {"campaign": _named(said.campaign_id), "reject": said.reject, **_who(said)}
        case Release():
            return {"campaign": _named(said.campaign_id), **_who(said)}
        case Cancellation():
            what: dict[str, object] = {"campaign": said.campaign_id} if said.event_id is None else {"id": said.event_id}
            return {**what, "before": text_of(said.before), **_who(said)}
        case UnreadableOrder():
            return {"campaign": _named(said.campaign_id), "why": said.why}
        case Forgotten():
            return {}
        case _:
            assert_never(said)


def _who(said: CampaignHold | Release | Cancellation) -> dict[str, object]:
    return {"operator": said.operator, "reason": said.reason}


def _named(campaign_id: int | None) -> object:
    return "all" if campaign_id is None else campaign_id

"""Operators' holds and cancellations, in the form that `/status` and `campaigns list` share. Changes nothing."""

from consumer.core.platform.control import CampaignHold, Cancellation
from consumer.core.platform.holds import Holds
from consumer.service.status_shape import CancellationStatus, HoldsStatus, HoldStatus
from schemas.instants import text_of


def holds_status(holds: Holds) -> HoldsStatus:
    """Return all holds and cancellations that are in force."""
    return {
        "holds": [hold_status(hold) for hold in holds.holds()],
        "cancellations": [cancellation_status(one) for one in holds.cancellations()],
    }


def hold_status(hold: CampaignHold) -> HoldStatus:
    """Return a hold with the names of its JSON form."""
    return {
        "campaignId": hold.campaign_id,
        "reject": hold.reject,
        "reason": hold.reason,
        "operator": hold.operator,
        "since": text_of(hold.since),
    }


def cancellation_status(one: Cancellation) -> CancellationStatus:
    """Return a cancellation with the names of its JSON form."""
    return {
        "eventId": one.event_id,
        "campaignId": one.campaign_id,
        "reason": one.reason,
        "operator": one.operator,
        "before": text_of(one.before),
    }

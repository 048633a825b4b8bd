"""What people and scripts are told of holds and cancellations. Reads no topic."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from consumer.campaigns.outcomes import Outcomes
from consumer.core.platform.control import CampaignHold, Cancellation
from consumer.core.platform.holds import Holds
from consumer.core.terms import Instant
from consumer.service.holding import cancellation_status
from schemas.instants import text_of

CANCELLED = "cancelled"


def cancel_document(done: Sequence[Cancellation], outcomes: Outcomes | None) -> Mapping[str, Any]:
    """Return what was cancelled and, where somebody waited for it, what became of the events."""
    cancelled = {"cancellations": [cancellation_status(one) for one in done]}
    if outcomes is None:
        return cancelled
    found = [
        {name: result.get(name) for name in ("eventId", "status", "reason", "completedAt")}
        for result in outcomes.found.values()
    ]
    return {**cancelled, "outcomes": found, "pending": sorted(outcomes.pending)}


def table(holds: Holds, now: Instant) -> Iterator[str]:
    """Yield everything that holds now, for people."""
    held, cancelled = holds.holds(), holds.cancellations()
    if not held:
        yield "nothing is held"
    for hold in held:
        waits = "events are rejected" if hold.reject else "events wait"
        yield f"{whose(hold.campaign_id)} held for {_span(now - hold.since)}, {waits}"
        yield f"  by {hold.operator}, since {text_of(hold.since)}"
        yield f"  {hold.reason}"
    for one in cancelled:
        what = f"event {one.event_id}" if one.event_id is not None else f"campaign {one.campaign_id}"
        yield f"{what} cancelled, as far as published before {text_of(one.before)}"
        yield f"  by {one.operator}: {one.reason}"


def whose(campaign_id: int | None) -> str:
    """Return what a hold is of, to begin a sentence with."""
    return "everything is" if campaign_id is None else f"campaign {campaign_id} is"


def held(holds: Sequence[CampaignHold]) -> Iterator[str]:
    """Yield what follows from holds that were just written."""
    for hold in holds:
        yield f"{whose(hold.campaign_id)} held: within 2 s no instance starts a request of it"
    rejects = any(hold.reject for hold in holds)
    yield (
        "its events settle rejected (held); requests that are out end as they end"
        if rejects
        else "its events wait until it is released, or until their deadline; requests that are out end as they end"
    )
    names = " ".join("--all" if hold.campaign_id is None else str(hold.campaign_id) for hold in holds)
    yield f"to go on: campaign-consumer campaigns release {names}"


def outcome_lines(found: Mapping[str, Mapping[str, Any]], unknown: Collection[str]) -> Iterator[str]:
    """Yield what became of each event."""
    for event_id, result in found.items():
        status, reason = result.get("status"), result.get("reason")
        why = f" ({reason})" if reason else ""
        if status == CANCELLED:
            yield f"{event_id}: cancelled"
        else:
            yield f"{event_id}: too late, it is {status}{why} since {result.get('completedAt')}"
    for event_id in sorted(unknown):
        yield f"{event_id}: no outcome yet"


def _span(seconds: float) -> str:
    minutes = int(max(0.0, seconds) // 60)
    if minutes < 1:
        return f"{max(0.0, seconds):.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

"""Why the platform keeps us from sending, in sentences for the person who reads `/readyz`. Changes nothing.

Each reason is named with its cure. A partition that stalls for such a reason is not stuck in a task of ours, so `/healthz`
does not fail for it, and `/readyz` has to name it.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from consumer.core.pipeline import Pipeline
from consumer.core.platform.access import AccessState
from consumer.core.platform.holds import NOBODY, Holds
from consumer.core.terms import Instant, Now

PATIENCE_SECONDS = 10.0
"""Refused connections and requested pauses that are shorter are not reported."""

BLIND_SECONDS = 1.0
"""Shorter failures to read the control topic are not reported."""

NAMED_CAMPAIGNS = 5


def why_not_sending(pipeline: Pipeline, now: Now, *, control_trouble: str | None = None) -> Iterator[str]:
    """Yield each reason why the platform, or an unreadable control topic, keeps us from sending."""
    access = pipeline.access
    yield from _control_reasons(access.holds, now, control_trouble)
    if access.is_stopped:
        yield (
            "the platform refuses our key, role, credit, proxy or address (401, 402, 403, 407 or a redirect): "
            "check CAMPAIGN_API__URL and CAMPAIGN_API__SERVER_KEY"
        )
    elif access.turns_us_away:
        yield (
            "the platform has refused every request with this configuration: check CAMPAIGN_API__URL, "
            "CAMPAIGN_API__SERVER_KEY and CAMPAIGN_API__FIELD_NAMES__*"
        )
    since = access.since_at(now)
    if access.state(now) is AccessState.UNREACHABLE and since is not None and now.wall - since >= PATIENCE_SECONDS:
        yield (
            f"the platform cannot be reached since {_clock(since)}: check CAMPAIGN_API__URL, DNS, TLS and the network; "
            "sending goes on by itself"
        )
    yield from _pauses(pipeline, now)
    refused = [campaign_id for campaign_id in access.refused if pipeline.queue.holds(campaign_id)]
    if refused:
        yield (
            f"the platform refuses {_campaigns(refused)}, though others get through: check what the key's role may send; "
            "their events wait, and fail (retry_age) after CAMPAIGN_DELIVERY__RETRY__MAX_AGE"
        )


def _control_reasons(holds: Holds, now: Now, trouble: str | None) -> Iterator[str]:
    """Yield why operators' holds are unknown. A hold itself is no reason here, because the operator wants it."""
    blind_since = holds.blind_since
    if trouble is not None:
        yield f"no request starts, since the control topic cannot be read: {trouble}"
    elif not holds.was_heard:
        yield "no request starts before the control topic is read"
    elif blind_since is not None and now.wall - blind_since >= BLIND_SECONDS:
        yield f"no request starts, since the control topic cannot be read since {_clock(blind_since)}: see the log"
    unreadable = [hold for hold in holds.holds() if hold.operator == NOBODY]
    if unreadable:
        yield f"{unreadable[0].reason}; what it may hold is held: campaign-consumer campaigns list shows what"


def _pauses(pipeline: Pipeline, now: Now) -> Iterator[str]:
    pauses = pipeline.access.pauses
    everybodys = pauses.everybodys_span(now)
    if everybodys is not None and everybodys.until - now.wall >= PATIENCE_SECONDS:
        yield f"the platform asked for a pause until {_clock(everybodys.until)} (503, Retry-After)"
    paused = {
        campaign_id: span
        for campaign_id, span in pauses.by_campaign(now).items()
        if span.until - now.wall >= PATIENCE_SECONDS and pipeline.queue.holds(campaign_id)
    }
    if paused:
        until = max(span.until for span in paused.values())
        yield f"the platform asked for a pause of {_campaigns(list(paused))} until {_clock(until)} (429, Retry-After)"


def _campaigns(campaigns: Sequence[int]) -> str:
    named = ", ".join(str(campaign) for campaign in campaigns[:NAMED_CAMPAIGNS])
    more = len(campaigns) - NAMED_CAMPAIGNS
    return f"campaign{'s' if len(campaigns) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")


def _clock(at: Instant) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")

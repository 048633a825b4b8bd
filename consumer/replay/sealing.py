"""From what was found to a sealed plan: digest, cost, and warnings in plain words. Reads no topic.

Nothing personal comes in here, so nothing can get out.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consumer.core.terms import Instant
from consumer.replay.conclusion import Conclusion
from consumer.replay.document import (
    VERSION,
    CampaignCounts,
    Cost,
    Counts,
    Ends,
    Plan,
    Selection,
    digest_of,
    resend_id_of,
)
from consumer.replay.draft import URGENT_SECONDS
from consumer.replay.planning import Drawn, Notes
from schemas.instants import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the sending of one campaign's events, or of all."""

    requests_per_second: float | None = None
    contacts_per_second: float | None = None
    max_contacts: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a plan says beside what was found."""

    group: str
    results_topic: str
    selection: Selection
    made_at: Instant
    rate: float | None
    """Records a second that `replay run` is to publish."""
    limits: Limits
    limits_of: Callable[[int], Limits]
    """The same of a campaign."""


def seal(drawn: Drawn, frame: Frame) -> Plan:
    """Return the plan."""
    found, extend = drawn.conclusion, frame.selection.extend_expiry_seconds
    digest = digest_of(found.records, cluster_id=drawn.cluster_id, extend_expiry_seconds=extend, after=found.after)
    return Plan(
        version=VERSION,
        digest=digest,
        resend_id=resend_id_of(digest),
        cluster_id=drawn.cluster_id,
        group=frame.group,
        made_at=text_of(frame.made_at),
        selection=frame.selection,
        counts=found.counts,
        campaigns=found.campaigns,
        warnings=tuple(_warnings(found, drawn.notes)),
        cost=cost_of(found.counts, found.campaigns, frame),
        after=found.after,
        events=tuple(Ends(topic=topic, ends=ends) for topic, ends in drawn.events_ends.items()),
        results=Ends(topic=frame.results_topic, ends=drawn.results_ends),
        records=found.records,
    )


# ---------------------------------------------------------------- cost


def cost_of(counts: Counts, campaigns: tuple[CampaignCounts, ...], frame: Frame) -> Cost:
    """Return how long the resend takes, once at the rate that was asked for and once at the service's limits.

    Requests are counted as if every one but the last of a campaign were full: the service cannot do with fewer.
    """
    requests, seconds = 0, list[float]()
    for campaign in campaigns:
        limits = frame.limits if campaign.campaign_id is None else frame.limits_of(campaign.campaign_id)
        needed = math.ceil(campaign.would_send / limits.max_contacts)
        requests += needed
        seconds += _at(limits, requests=needed, contacts=campaign.would_send)
    seconds += _at(frame.limits, requests=requests, contacts=counts.would_send)
    return Cost(
        rate=frame.rate,
        publishing_seconds=None if frame.rate is None else counts.would_send / frame.rate,
        requests=requests,
        sending_seconds=max(seconds, default=None),
    )


def _at(limits: Limits, *, requests: int, contacts: int) -> Iterator[float]:
    if limits.requests_per_second is not None:
        yield requests / limits.requests_per_second
    if limits.contacts_per_second is not None:
        yield contacts / limits.contacts_per_second


# ---------------------------------------------------------------- warnings


def _warnings(found: Conclusion, notes: Notes) -> Iterator[str]:
    yield from _about_people(found)
    yield from _about_what_is_left_out(found.counts)
    yield from _about_evidence(notes)


def _about_people(found: Conclusion) -> Iterator[str]:
    remarks = found.remarks
    if remarks.texted_already:
        yield f"{remarks.texted_already:,} of these people already got this text at least once"
    if remarks.perhaps_texted_already:
        yield (
            f"{remarks.perhaps_texted_already:,} of these people may have got this text already: what became of it is "
            "in doubt"
        )
    if remarks.several:
        yield f"{remarks.several:,} of these people would get more than one text of a campaign by this resend alone"
    if remarks.urgent:
        minutes = URGENT_SECONDS / 60
        yield (
            f"the deadline of {remarks.urgent:,} records is less than {minutes:.0f} minutes away: what is not sent by "
            "then expires; --extend-expiry gives them a new one"
        )


def _about_what_is_left_out(counts: Counts) -> Iterator[str]:
    if counts.unsettled:
        yield f"{counts.unsettled:,} records have no outcome yet and are left out: plan again when they have one"
    if counts.in_doubt:
        yield (
            f"{counts.in_doubt:,} records are in doubt and left out: ask the platform's reports; "
            "--status in_doubt sends them all the same"
        )
    if counts.expired:
        yield (
            f"{counts.expired:,} records are left out because their deadline has passed: "
            "--extend-expiry gives them a new one"
        )
    if counts.invalid:
        yield (
            f"{counts.invalid:,} records are no valid events: --dead-letters --edit FILE writes them down to be mended"
        )


def _about_evidence(notes: Notes) -> Iterator[str]:
    if notes.idle_exclusions:
        yield (
            f"{notes.idle_exclusions:,} lines of --exclude fit nothing that was selected: "
            "see that they are spelled right"
        )
    if notes.lost:
        yield f"{notes.lost:,} offsets of the range are gone: retention has removed them from the events topic"
    if notes.letters_gone:
        yield (
            f"the records of {notes.letters_gone:,} dead letters are gone from the events topic: "
            "--edit FILE writes the letters down"
        )
    if notes.skipped:
        yield (
            f"{notes.skipped:,} records without an outcome stand below what the group has committed: "
            "a forward move has passed them over; --skipped selects them"
        )
    if notes.unknowable:
        yield (
            f"what became of {notes.unknowable:,} records cannot be known, since retention has removed results and "
            "journal of their time: they count as unsettled"
        )
    if notes.orphans:
        yield (
            f"of {notes.orphans:,} events the range holds resends alone, and the results of their originals may be "
            "gone: begin the range earlier (--from) to be sure that they were not accepted"
        )
    if notes.unreadable_results:
        yield f"{notes.unreadable_results:,} records of the results topic are no results"

"""What checkpoints remember of the platform: who was let in, who was asked to wait, when nothing could start.

Values and their JSON; decides nothing. A partition's checkpoint carries what its owner knew of the platform as a whole,
so that the next owner asks nobody who has asked for patience, and does not distrust what has worked before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from consumer.core.terms import Instant

MAX_REMEMBERED = 1_000
"""Campaigns of each kind in one checkpoint: some 30 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandstillSpan:
    """A stretch of wall-clock time in which no request could start."""

    since: Instant
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What one owner knew of the platform. Nothing in here is secret or personal."""

    contact: str | None = None
    """Fingerprint of the configuration (URL, key, field names) that had the last 2xx."""
    paused: StandstillSpan | None = None
    """The platform asked for a pause of everything."""
    paused_campaigns: Mapping[int, StandstillSpan] = field(default_factory=dict)
    """Campaigns that it asked a pause for."""
    refused_campaigns: Mapping[int, Instant] = field(default_factory=dict)
    """Campaigns that key or role may not send, by their first refusal."""
    outages: tuple[StandstillSpan, ...] = ()
    """When nothing could start."""


NOTHING = Remembered()


def fields_of(remembered: Remembered) -> dict[str, object]:
    """Return it as small JSON; what is empty is left out."""
    paused = remembered.paused
    said: dict[str, object] = {
        "contact": remembered.contact,
        "paused": None if paused is None else _pair(paused),
        "paused_campaigns": [[campaign, *_pair(span)] for campaign, span in remembered.paused_campaigns.items()],
        "refused_campaigns": [[campaign, round(at, 3)] for campaign, at in remembered.refused_campaigns.items()],
        "outages": [_pair(span) for span in remembered.outages],
    }
    return {name: value for name, value in said.items() if value}


def remembered_of(said: Mapping[str, Any] | None) -> Remembered:
    """Return what a checkpoint remembers; nothing where it is of a version that remembered nothing.

    Raises:
        KeyError, TypeError, ValueError: no version wrote this.
    """
    if not said:
        return NOTHING
    paused = said.get("paused")
    return Remembered(
        contact=said.get("contact"),
        paused=None if paused is None else _span(*paused),
        paused_campaigns={int(campaign): _span(*pair) for campaign, *pair in said.get("paused_campaigns", ())},
        refused_campaigns={int(campaign): _instant(at) for campaign, at in said.get("refused_campaigns", ())},
        outages=tuple(_span(*pair) for pair in said.get("outages", ())),
    )


def _pair(span: StandstillSpan) -> Sequence[float]:
    return (round(span.since, 3), round(span.until, 3))


def _span(since: float, until: float) -> StandstillSpan:
    return StandstillSpan(since=_instant(since), until=_instant(until))


def _instant(said: float) -> Instant:
    if not isfinite(said):
        raise ValueError
    return Instant(float(said))

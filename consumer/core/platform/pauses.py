"""How long the platform asked to wait: of a 503 everybody, of other statuses (429) a campaign. Never reads a clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

from consumer.core.memory.platform_memory import MAX_REMEMBERED, StandstillSpan
from consumer.core.terms import AT_ONCE, Instant, Now, Ticks

LONGEST_SECONDS = 86_400.0
"""A platform that asks for a longer pause is asked again after a day."""


@dataclass(frozen=True, slots=True)
class _Pause:
    until: Ticks
    span: StandstillSpan


class Pauses:
    """Pauses in force. One of a campaign that is over is forgotten when the next one is asked for."""

    def __init__(self) -> None:
        self._of: dict[int, _Pause] = {}
        """In the order of asking."""
        self._ends: list[tuple[Ticks, int]] = []
        self._everybodys: _Pause | None = None

    def ask(self, campaign_id: int | None, seconds: float, now: Now) -> StandstillSpan:
        """Start nothing of this campaign, or of any, for so long; a longer pause that is in force stays. Return it."""
        return self._add(campaign_id, now.wall, max(0.0, seconds), now).span

    def resume(self, campaign_id: int | None, span: StandstillSpan, now: Now) -> None:
        """Go on with a pause that a former owner was asked for."""
        if now.wall < span.until and span.since <= span.until:
            self._add(campaign_id, min(span.since, now.wall), span.until - now.wall, now)

    def _add(self, campaign_id: int | None, since: float, seconds: float, now: Now) -> _Pause:
        seconds = min(seconds, LONGEST_SECONDS)
        span = StandstillSpan(since=Instant(since), until=Instant(now.wall + seconds))
        pause = _Pause(Ticks(now.steady + seconds), span)
        if campaign_id is None:
            self._everybodys = pause = _longer(self._everybodys, pause)
            return pause
        self._forget_ended(now)
        pause = self._of[campaign_id] = _longer(self._of.pop(campaign_id, None), pause)
        heappush(self._ends, (pause.until, campaign_id))
        return pause

    def _forget_ended(self, now: Now) -> None:
        while self._ends and self._ends[0][0] <= now.steady:
            _, campaign_id = heappop(self._ends)
            ended = self._of.get(campaign_id)
            if ended is not None and ended.until <= now.steady:
                del self._of[campaign_id]

    def of_campaign(self, campaign_id: int) -> Ticks:
        """Return until when a campaign waits; that may be over."""
        pause = self._of.get(campaign_id)
        return AT_ONCE if pause is None else pause.until

    @property
    def of_everybody(self) -> Ticks:
        """Until when nobody may be asked anything; that may be over."""
        return AT_ONCE if self._everybodys is None else self._everybodys.until

    def everybodys_span(self, now: Now) -> StandstillSpan | None:
        """Return the pause of everybody that is in force, None without one."""
        pause = self._everybodys
        return None if pause is None or pause.until <= now.steady else pause.span

    def by_campaign(self, now: Now) -> Mapping[int, StandstillSpan]:
        """Return the pauses in force, by campaign: the youngest, as many as a checkpoint may hold."""
        self._forget_ended(now)
        return {campaign: pause.span for campaign, pause in islice(reversed(self._of.items()), MAX_REMEMBERED)}


def _longer(known: _Pause | None, new: _Pause) -> _Pause:
    if known is None or known.until <= new.until:
        if known is not None and known.span.until >= new.span.since:
            return _Pause(new.until, StandstillSpan(since=min(known.span.since, new.span.since), until=new.span.until))
        return new
    return known

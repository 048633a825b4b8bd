"""How requests ended lately, in a few values for people. Decides nothing about events and never reads a clock.

A platform that answers, and accepts nothing, neither refuses us nor is it away: `access.py` lets requests start as ever.
What such a time looks like stands here, and what single campaigns were told.
"""

from dataclasses import dataclass, replace

from consumer.core.platform.answer import TOO_MANY_REQUESTS, Answer, Answered
from consumer.core.platform.post import REFUSALS, Ruling
from consumer.core.terms import Instant, Now

LATELY_SECONDS = 300.0
"""What ended longer ago says nothing about the present: the longest back-off between two attempts is far shorter."""

MOST_CAMPAIGNS = 100
"""Campaigns that are known at once; of more, those that were told so last."""

MOST_STATUSES = 8
"""Of one spell; further ones are not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """Attempts that ended alike, one after the other, and none was accepted in between."""

    status: int | None
    """Of the last one; None where no complete head came back."""
    statuses: frozenset[int | None]
    since: Instant
    last_at: Instant
    attempts: int = 1
    settled: int = 0
    """Contacts that they settled."""


class Lately:
    """What the platform has answered to this process lately."""

    def __init__(self) -> None:
        self._failing: Spell | None = None
        self._slowed: Spell | None = None
        self._throttled: dict[int, Spell] = {}
        self._rejected: dict[int, Spell] = {}
        self.refused_status: int | None = None
        """Of the last refusal, where no 2xx came after it."""

    def ended(self, campaign_id: int, answer: Answer, ruling: Ruling, now: Now, *, settled: int) -> None:
        """An attempt came to its end, which settled so many contacts."""
        status = answer.status if isinstance(answer, Answered) else None
        match ruling:
            case Ruling.ACCEPTED:
                self._failing = self._slowed = self.refused_status = None
                self._throttled.pop(campaign_id, None)
                self._rejected.pop(campaign_id, None)
            case Ruling.UNKNOWN_SERVER_ERROR | Ruling.UNKNOWN_ANSWER_LOST:
                self._failing = _longer(self._failing, status, 0, now)
            case Ruling.NOT_DELIVERED | Ruling.NOT_DELIVERED_UNCOUNTED if status == TOO_MANY_REQUESTS:
                _note(self._throttled, campaign_id, status, 0, now)
                self._slowed = _longer(self._slowed, status, 0, now)
            case Ruling.NOT_DELIVERED | Ruling.NOT_DELIVERED_UNCOUNTED if status is not None:
                self._failing = _longer(self._failing, status, 0, now)
            case _ if ruling in REFUSALS:
                self.refused_status = status
                if ruling is Ruling.CAMPAIGN_REFUSED and settled:
                    _note(self._rejected, campaign_id, status, settled, now)
            case _:
                pass

    def failing(self, now: Now) -> Spell | None:
        """Return since when requests fail and none is accepted; None where that is not so, or is long ago."""
        return self._failing if self._failing is not None and _is_recent(self._failing, now) else None

    def slowed(self, now: Now) -> Spell | None:
        """Return since when requests are asked to slow down and none of any campaign is accepted; None as above."""
        return self._slowed if self._slowed is not None and _is_recent(self._slowed, now) else None

    def throttled(self, now: Now) -> dict[int, Spell]:
        """Return the campaigns that were asked to slow down and had nothing accepted since."""
        return {campaign_id: spell for campaign_id, spell in self._throttled.items() if _is_recent(spell, now)}

    def rejected(self, now: Now) -> dict[int, Spell]:
        """Return the campaigns whose contacts the platform rejects as a whole; `settled` is how many."""
        return {campaign_id: spell for campaign_id, spell in self._rejected.items() if _is_recent(spell, now)}


def _is_recent(spell: Spell, now: Now) -> bool:
    return now.wall - spell.last_at <= LATELY_SECONDS


def _longer(known: Spell | None, status: int | None, settled: int, now: Now) -> Spell:
    if known is None or not _is_recent(known, now):
        return Spell(status=status, statuses=frozenset({status}), since=now.wall, last_at=now.wall, settled=settled)
    return replace(
        known,
        status=status,
        statuses=known.statuses | {status} if len(known.statuses) < MOST_STATUSES else known.statuses,
        last_at=now.wall,
        attempts=known.attempts + 1,
        settled=known.settled + settled,
    )


def _note(spells: dict[int, Spell], campaign_id: int, status: int | None, settled: int, now: Now) -> None:
    spells[campaign_id] = _longer(spells.pop(campaign_id, None), status, settled, now)
    if len(spells) > MOST_CAMPAIGNS:
        del spells[next(iter(spells))]

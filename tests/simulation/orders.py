"""What operators have ordered in a world, and whether it is obeyed. Reads no topic and shares no code with the core."""

from collections.abc import Callable
from typing import Any

Place = tuple[int, int]

OBEYED_WITHIN_SECONDS = 2.0


class Orders:
    """The judge's knowledge of holds and cancellations; `insist` complains where something does not hold."""

    def __init__(self, insist: Callable[..., None]) -> None:
        self._insist = insist
        self._held: dict[int | None, float] = {}
        self._rejected: set[int | None] = set()
        """Campaigns that were held with the order to reject their events, now or once."""
        self._cancelled: list[tuple[float, int, int | None, str | None]] = []
        """Since when, what is older than which timestamp, of which campaign or event."""
        self._published: dict[Place, tuple[int, str]] = {}

    def published(self, place: Place, timestamp_ms: int, event_id: str) -> None:
        """A valid event stands in its topic."""
        self._published[place] = (timestamp_ms, event_id)

    def hold(self, campaign: int | None, time: float, *, reject: bool) -> None:
        """A campaign is held, or everything."""
        self._held.setdefault(campaign, time)
        if reject:
            self._rejected.add(campaign)

    def release(self, campaign: int | None) -> None:
        """It is not held any more."""
        self._held.pop(campaign, None)

    def cancel(self, time: float, before_ms: int, campaign: int | None, event_id: str | None) -> None:
        """What was published before is cancelled."""
        self._cancelled.append((time, before_ms, campaign, event_id))

    def is_held(self, campaign: int) -> bool:
        """Return whether a campaign waits for a person."""
        return campaign in self._held or None in self._held

    def starts(self, place: Place, campaign: int, time: float) -> None:
        """A request that carries this event starts."""
        for held in (campaign, None):
            late = time - self._held.get(held, time)
            self._insist(late <= OBEYED_WITHIN_SECONDS, "a request of a held campaign starts", place, held, late)
        since = self._cancelled_since(place, campaign)
        late = 0.0 if since is None else time - since
        self._insist(late <= OBEYED_WITHIN_SECONDS, "a request of a cancelled event starts", place, late)

    def _cancelled_since(self, place: Place, campaign: int) -> float | None:
        published = self._published.get(place)
        if published is None:
            return None
        timestamp_ms, event_id = published
        times = [
            time
            for time, before_ms, cancelled, named in self._cancelled
            if timestamp_ms < before_ms and (cancelled == campaign or named == event_id)
        ]
        return min(times, default=None)

    def fits(self, place: Place, campaign: int, result: dict[str, Any]) -> None:
        """Compare a result with what was ordered."""
        if result["status"] == "cancelled":
            self._insist(self._cancelled_since(place, campaign) is not None, "cancelled, and nobody has said so", place)
        if result["reason"] == "held":
            self._insist({campaign, None} & self._rejected, "rejected, and nobody has said so", place)

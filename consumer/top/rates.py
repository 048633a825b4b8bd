"""How fast it goes, from two statuses of one process. Reads no clock."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.top.asking import ServiceStatusJson

RATE_SECONDS: Final = 10.0
"""Rates are over the last so many seconds, or as long as there are statuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """By the second; nothing where it cannot be told."""

    per_second: Mapping[str, float]
    """By the name in `totals`."""
    acceptance: Mapping[str, Mapping[float, float]]
    """By priority and share of events: an upper bound of the seconds from arrival to acceptance."""


class RateMeter:
    """Keeps the statuses of the last few seconds."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, ServiceStatusJson]] = deque()

    def take(self, status: ServiceStatusJson, at_seconds: float) -> Rates:
        """Take a status, and return the rates since the eldest one that is kept."""
        if self._taken and _is_another(self._taken[-1][1], status):
            self._taken.clear()
        self._taken.append((at_seconds, status))
        while len(self._taken) > 2 and at_seconds - self._taken[1][0] >= RATE_SECONDS:  # noqa: PLR2004 - two make a rate
            self._taken.popleft()
        started_at, first = self._taken[0]
        return rates_between(first, status, at_seconds - started_at)


def _is_another(before: ServiceStatusJson, after: ServiceStatusJson) -> bool:
    """Whether the process was replaced meanwhile: its counts have begun anew."""
    return bool(before.get("member") != after.get("member")) or any(
        after_count < (before.get("totals") or {}).get(name, 0)
        for name, after_count in (after.get("totals") or {}).items()
    )


def rates_between(before: ServiceStatusJson, after: ServiceStatusJson, seconds: float) -> Rates:
    """Return what happened by the second between two statuses."""
    if seconds <= 0:
        return Rates(per_second={}, acceptance={})
    earlier, later = before.get("totals") or {}, after.get("totals") or {}
    return Rates(
        per_second={name: (count - earlier[name]) / seconds for name, count in later.items() if name in earlier},
        acceptance=_acceptance(before.get("acceptance") or {}, after.get("acceptance") or {}),
    )


def _acceptance(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Mapping[float, float]]:
    bounds = after.get("bounds") or ()
    found: dict[str, Mapping[float, float]] = {}
    for priority in ("normal", "immediate"):
        earlier, later = before.get(priority) or (), after.get(priority) or ()
        if len(earlier) == len(later) == len(bounds) + 1:
            counts = [now - then for then, now in zip(earlier, later, strict=True)]
            if sum(counts) > 0:
                found[priority] = {share: _bound_of(share, bounds, counts) for share in (0.5, 0.99)}
    return found


def _bound_of(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float:
    """Return the bound that this share of events is below; infinity where the last bucket holds them."""
    wanted, below = share * sum(counts), 0
    for bound, count in zip(bounds, counts, strict=False):
        below += count
        if below >= wanted:
            return bound
    return float("inf")

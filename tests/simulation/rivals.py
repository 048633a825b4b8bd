"""Who may take whose place: holds `superseded` results against what is true of the two records. Reads results alone."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.scenario import Publication

SEPARATE = "separate"


class RivalRules:
    """What campaigns want of several events for one person."""

    def __init__(self, insist: Callable[..., None]) -> None:
        self._insist = insist
        self.same_contact: tuple[str, ...] = ()
        """What campaigns 1, 2 … do; the others keep all."""

    def of(self, campaign: int) -> str:
        """Return a campaign's policy."""
        return self.same_contact[campaign - 1] if campaign <= len(self.same_contact) else SEPARATE

    def fits(
        self, place: tuple[int, int], result: Mapping[str, Any], known: Mapping[tuple[int, int], Publication]
    ) -> None:
        """Complain of an event that gave way to none that may take its place."""
        if result["status"] != "superseded":
            return
        gave_way, related = known[place], result["related"]
        stays_at = (related["partition"], related["offset"])
        stays = known.get(stays_at)
        keeps = "keep_latest" if result["reason"] == "newer_event" else "keep_first"
        self._insist(self.of(gave_way.campaign) == keeps, "superseded against its campaign's policy", place, keeps)
        self._insist(stays is not None and stays_at[0] == place[0], "it gave way to no record", place, stays_at)
        assert stays is not None
        self._insist(stays.campaign == gave_way.campaign, "it gave way to another campaign", place, stays_at)
        self._insist(stays.person == gave_way.person, "it gave way to another person", place, stays_at)
        self._insist(stays.identity != gave_way.identity, "it gave way to itself", place, stays_at)
        is_newer = stays_at[1] > place[1]
        self._insist(is_newer == (keeps == "keep_latest"), "it gave way to the wrong one of two", place, stays_at)

"""Whether the platform lets us in: first contact, and the stop after a refused key, role or address.

Says who may start a request, never starts one. Until the first 2xx, and while stopped, one real send at a time
is the probe, rotating over campaigns with back-off, and no refusal settles anything. A campaign's urgent sends and
its others have a turn each: one urgent event that is refused for good must not stand before all the others for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from consumer.core.platform_memory import Remembered
from consumer.core.retry import backoff_seconds
from consumer.core.terms import AT_ONCE, Now, Ticks

PROBE_BASE_SECONDS = 0.5
PROBE_MAX_SECONDS = 30.0


class AccessState(StrEnum):
    """What the platform's answers say about our key and address."""

    FIRST_CONTACT = "first_contact"
    OPEN = "open"
    STOPPED = "stopped"


@dataclass(slots=True)
class Refusal:
    """A key, role or address that was refused, for one campaign or for all."""

    setbacks: int = 0
    probe_at: Ticks = AT_ONCE
    probed: set[tuple[int, bool]] = field(default_factory=set)
    """Campaigns that have had their turn as the probe in this round: with an urgent send, and with another."""


class Access:
    """One for the process: a key is the same for every partition."""

    def __init__(self, jitter: Callable[[], float], configuration: str = "any") -> None:
        self._jitter = jitter
        self._configuration = configuration
        self._contact: str | None = None
        self._probe = Refusal()
        self._suspects: set[int] = set()
        self.state = AccessState.FIRST_CONTACT
        self.refused: dict[int, Refusal] = {}
        """Campaigns that stay refused although others get through."""
        self._turned_away = False

    @property
    def turns_us_away(self) -> bool:
        """Whether the platform refuses all that it is asked, as far as is known."""
        return self.state is AccessState.STOPPED or (self.state is AccessState.FIRST_CONTACT and self._turned_away)

    @property
    def settles_refusals(self) -> bool:
        """Whether a refusal may be believed to be about the request, not about us."""
        return self.state is AccessState.OPEN

    def remember(self, platform: Remembered) -> None:
        """Learn what a former owner knew: a configuration that was let in before needs no first contact."""
        if self._contact != self._configuration:
            self._contact = platform.contact or self._contact
        if self.state is AccessState.FIRST_CONTACT and not self._turned_away and self._contact == self._configuration:
            self.state = AccessState.OPEN

    def memory(self) -> Remembered:
        """Return what the next owner should know."""
        return Remembered(contact=self._contact)

    def may_start(
        self, campaign_id: int, now: Now, *, immediate: bool, in_flight: int, in_flight_of_campaign: int
    ) -> bool:
        """Return whether a send of this campaign may start now."""
        if self.state is not AccessState.OPEN:
            turn = (campaign_id, immediate)
            return in_flight == 0 and now.steady >= self._probe.probe_at and turn not in self._probe.probed
        refusal = self.refused.get(campaign_id)
        return refusal is None or (in_flight_of_campaign == 0 and now.steady >= refusal.probe_at)

    def picked(self, campaign_id: int, *, immediate: bool) -> None:
        """Take note that this campaign has its turn."""
        if self.state is not AccessState.OPEN:
            self._probe.probed.add((campaign_id, immediate))

    def new_round(self, now: Now) -> bool:
        """Let every campaign have its turn as the probe again; False where all may have it, or no probe is due."""
        if self.state is AccessState.OPEN or not self._probe.probed or now.steady < self._probe.probe_at:
            return False
        self._probe.probed.clear()
        return True

    def wakes(self) -> list[Ticks]:
        """Return when probes are due."""
        waiting = [refusal.probe_at for refusal in self.refused.values()]
        if self.state is not AccessState.OPEN:
            waiting.append(self._probe.probe_at)
        return waiting

    def accepted(self, campaign_id: int) -> None:
        """A 2xx: whoever got it is let in; a stop narrows to the campaigns that were refused."""
        self._contact = self._configuration
        self.refused.pop(campaign_id, None)
        if self.state is AccessState.OPEN:
            return
        for suspect in self._suspects - {campaign_id}:
            self.refused[suspect] = Refusal(self._probe.setbacks, self._probe.probe_at)
        self._suspects.clear()
        self._probe = Refusal()
        self.state = AccessState.OPEN

    def denied(self, campaign_id: int, now: Now) -> None:
        """401, 403 or a redirect: stop, or stay stopped, and probe later."""
        if self.state is AccessState.OPEN and campaign_id in self.refused:
            self._back_off(self.refused[campaign_id], now)
            return
        if self.state is AccessState.OPEN:
            self.state = AccessState.STOPPED
        self._turned_away = True
        self._suspects.add(campaign_id)
        self._back_off(self._probe, now)

    def refused_something(self, now: Now) -> None:
        """A refusal that is about the request; before the first contact it may be about us."""
        self._turned_away = True
        self.disappointed(now)

    def disappointed(self, now: Now) -> None:
        """A probe brought no 2xx, for whatever reason: the next one waits."""
        if self.state is not AccessState.OPEN:
            self._back_off(self._probe, now)

    def _back_off(self, refusal: Refusal, now: Now) -> None:
        if now.steady < refusal.probe_at:
            return  # no probe: it was out before the stop, and says what is known
        refusal.setbacks += 1
        jitter = 0.5 + self._jitter() / 2  # never at once: a probe is a real send to a platform that said no
        wait = backoff_seconds(
            refusal.setbacks, base_seconds=PROBE_BASE_SECONDS, max_seconds=PROBE_MAX_SECONDS, jitter=jitter
        )
        refusal.probe_at = Ticks(now.steady + wait)

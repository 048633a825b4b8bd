"""An operator who holds, releases and cancels in a run of the core. Decides nothing."""

from dataclasses import dataclass

from consumer.core.platform.control import CampaignHold, Cancellation, Release, key_of, value_of
from consumer.core.platform.control import ControlRecord as Record
from consumer.core.terms import Instant
from tests.core.makers import at
from tests.core.runner import Runner


@dataclass
class Operator:
    """Somebody who holds, releases and cancels, in a run."""

    runner: Runner

    def say(self, *said: CampaignHold | Release | Cancellation) -> None:
        now = at(self.runner.time)
        records = [Record(0, 0, key_of(one), value_of(one)) for one in said]
        self.runner.pipeline.stops.heard(records, now.steady, now)

    def hold(self, campaign: int | None, *, reject: bool = False) -> None:
        now = at(self.runner.time).wall
        self.say(
            CampaignHold(campaign_id=campaign, reject=reject, reason="r", operator="anna", since=now, held_since=now)
        )

    def release(self, campaign: int | None) -> None:
        now = at(self.runner.time).wall
        self.say(Release(campaign_id=campaign, reason=None, operator="anna", at=now, held_since=None))

    def cancel(self, *, event: str | None = None, campaign: int | None = None) -> None:
        before = Instant(at(self.runner.time).wall + 0.001)
        self.say(Cancellation(event_id=event, campaign_id=campaign, reason="r", operator="anna", before=before))

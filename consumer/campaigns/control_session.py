"""Reads what is held and cancelled, and writes what an operator wants into the control topic. Prints nothing.

What is written says since when a campaign was held in all: whoever reads the topic later knows it although compaction
has removed the first hold.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumer.core.platform.control import CampaignHold, Cancellation, ControlRecord, Release, key_of, said_by, value_of
from consumer.core.platform.holds import Holds
from consumer.core.terms import AT_ONCE, Instant, Now, Ticks
from consumer.service.ports import ControlRead, Message

LAPSED_AFTER = 2
"""Times `KAFKA__MAX_EVENT_AGE`: cancellations so old are removed from the topic by the next one."""


class ControlTopic(Protocol):
    """The topic, as a tool uses it."""

    async def read(self, position: int) -> ControlRead: ...

    async def write(self, messages: Sequence[Message]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a release has come to."""

    holds: Sequence[CampaignHold]
    """What was held and is not any more."""
    others: Sequence[int]
    """Campaigns that were not held."""


class ControlSession:
    """One look at the topic, and what is written on the strength of it."""

    def __init__(self, topic: ControlTopic, *, max_event_age_seconds: float) -> None:
        self._topic = topic
        self._longest_seconds = max_event_age_seconds
        self._records: dict[bytes | None, ControlRecord] = {}
        self.holds = Holds(max_event_age_seconds)

    async def look(self, now: Instant) -> None:
        """Read the topic to its end."""
        read = await self._topic.read(0)
        self.holds.heard(read.records, AT_ONCE, Now(now, Ticks(0.0)))
        self._records = {record.key: record for record in read.records}

    async def hold(
        self, campaigns: Collection[int | None], *, reject: bool, reason: str, operator: str, now: Instant
    ) -> Sequence[CampaignHold]:
        """Hold campaigns, or everything (None); one that is held already is held for this reason from now on."""
        known = {hold.campaign_id: hold.held_since for hold in reversed(self.holds.holds())}
        holds = [
            CampaignHold(
                campaign_id=campaign_id,
                reject=reject,
                reason=reason,
                operator=operator,
                since=now,
                held_since=known.get(campaign_id, now),
            )
            for campaign_id in dict.fromkeys(campaigns)
        ]
        await self._topic.write([_message(hold) for hold in holds])
        return holds

    async def release(
        self, campaigns: Collection[int | None], *, reason: str | None, operator: str, now: Instant
    ) -> Released:
        """Let campaigns go on, or everything that is held together (None)."""
        over: list[CampaignHold] = []
        others: list[int] = []
        releases: list[Release] = []
        for campaign_id in dict.fromkeys(campaigns):
            found = [hold for hold in self.holds.holds() if hold.campaign_id == campaign_id]
            if not found:
                others += [] if campaign_id is None else [campaign_id]
                continue
            over += found
            held_since = min(hold.held_since for hold in found)
            releases.append(
                Release(campaign_id=campaign_id, reason=reason, operator=operator, at=now, held_since=held_since)
            )
        if releases:
            await self._topic.write([_message(release) for release in releases])
        return Released(holds=over, others=others)

    async def cancel(
        self, events: Collection[str], campaigns: Collection[int], *, reason: str, operator: str, now: Instant
    ) -> Sequence[Cancellation]:
        """Cancel what was published before now and has not started; cancellations that are over are removed."""
        cancellations = [
            Cancellation(event_id=event_id, campaign_id=campaign_id, reason=reason, operator=operator, before=now)
            for event_id, campaign_id in (
                *((event_id, None) for event_id in dict.fromkeys(events)),
                *((None, campaign_id) for campaign_id in dict.fromkeys(campaigns)),
            )
        ]
        lapsed = [Message(key=key, value=None) for key in self._lapsed(now)]
        await self._topic.write([*(_message(one) for one in cancellations), *lapsed])
        return cancellations

    def _lapsed(self, now: Instant) -> list[bytes]:
        horizon = now - LAPSED_AFTER * self._longest_seconds
        said = {key: said_by(record) for key, record in self._records.items()}
        return [
            key
            for key, one in said.items()
            if key is not None and isinstance(one, Cancellation) and one.before < horizon
        ]


def _message(said: CampaignHold | Release | Cancellation) -> Message:
    return Message(key=key_of(said), value=value_of(said))

"""Operators of a world: they hold, release and cancel through the control topic. Decides nothing of what follows."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import orjson

from consumer.core.platform.control import ControlRecord
from consumer.service.ports import ControlRead
from tests.simulation.blows import Blow

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

WHOSE: tuple[int | None, ...] = (1, 2, None)
HELD_FOR_SECONDS = 2.5
"""At least: what is not obeyed by then is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    timestamp_ms: int
    key: bytes
    value: bytes


class Operators:
    """Everybody who may write to the control topic, and the topic."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._dice = world.dice.stream("operators")
        self.records: list[_Record] = []
        self._held: dict[int | None, float] = {}

    def befall(self, blow: Blow) -> None:
        """Hold for a while, or cancel."""
        whose = WHOSE[blow.where % len(WHOSE)]
        if blow.kind == "hold":
            self.hold(whose, reject=blow.where >= len(WHOSE))
            self._world.after(HELD_FOR_SECONDS + blow.amount, partial(self.release, whose))
        elif whose is None:
            self._cancel_an_event()
        else:
            self._cancel(campaign=whose, event_id=None)

    def hold(self, campaign: int | None, *, reject: bool = False) -> None:
        """Hold a campaign, or everything."""
        since = self._held.setdefault(campaign, self._world.wall)
        self._world.judge.orders.hold(campaign, self._world.time, reject=reject)
        now = _text(self._world.wall)
        self._write(f"hold/{campaign or 'all'}", "hold", campaignId=campaign, reject=reject, since=now, reason="r",
                    heldSince=_text(since))  # fmt: skip

    def release(self, campaign: int | None) -> None:
        """Let it go on."""
        since = self._held.pop(campaign, None)
        if since is None:
            return
        self._world.judge.orders.release(campaign)
        at = _text(self._world.wall)
        self._write(f"hold/{campaign or 'all'}", "release", campaignId=campaign, at=at, heldSince=_text(since))

    def _cancel_an_event(self) -> None:
        events = [one.publication for one in self._world.judge.documents.values() if one.publication.valid]
        if events:
            value = orjson.loads(self._dice.choice(events).value or b"")
            self._cancel(campaign=None, event_id=value["eventId"])

    def _cancel(self, *, campaign: int | None, event_id: str | None) -> None:
        now = self._world.wall
        self._world.judge.orders.cancel(self._world.time, round(now * 1000), campaign, event_id)
        name = f"campaign/{campaign}" if event_id is None else f"event/{event_id}"
        self._write(f"cancel/{name}", "cancel", eventId=event_id, campaignId=campaign, before=_text(now), reason="r")

    def _write(self, key: str, kind: str, **fields: object) -> None:
        value = orjson.dumps({"kind": kind, "operator": "anna", **fields})
        self.records.append(_Record(timestamp_ms=int(self._world.wall * 1000), key=key.encode(), value=value))
        self._world.reached[f"operator: {kind}"] += 1
        self._world.note("operator", kind, fields)

    def calm(self) -> None:
        """Let everything go on."""
        for campaign in list(self._held):
            self.release(campaign)


class SimulatedControl:
    """The control topic as one process reads it."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world

    async def read(self, position: int) -> ControlRead:
        """Return what stands there."""
        delay = self._world.logs.delay()
        if self._world.dice.strikes("control_slow"):
            delay += self._world.logs.seldom((0.3, 2.0, 6.0))
        await self._process.waits(delay)
        records = self._world.operators.records
        return ControlRead(
            records=[
                ControlRecord(position + index, record.timestamp_ms, record.key, record.value)
                for index, record in enumerate(records[position:])
            ],
            end=len(records),
        )

    async def stop(self) -> None:
        pass


def _text(wall: float) -> str:
    return datetime.fromtimestamp(round(wall, 3), UTC).isoformat()

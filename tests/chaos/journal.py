"""The journal as an outsider reads it: JSON records, by code of the tests' own. Never writes but a forged claim."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from consumer.demo.arithmetic import RecordPlace
from tests.service.harness import START_SECONDS, Stage
from tests.support.eventually import eventually
from tests.support.records import Written, read_all, write


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One entry and where it stands; `written_at` is Unix seconds by its writer's clock."""

    partition: int
    offset: int
    written_at: float
    fields: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.fields["kind"])

    @property
    def counts(self) -> bool:
        """Whether it stands where it says it does; a claim counts wherever it stands."""
        return self.kind == "claim" or self.fields["at"] == self.offset

    def places(self) -> Iterator[RecordPlace]:
        """The records that an intent carries, or whose outcome this is."""
        for item in (self.fields, *self.fields.get("settled", ())) if self.kind in {"intent", "outcome"} else ():
            yield from (RecordPlace(self.partition, offset) for offset in accumulate(item.get("offsets", ())))


async def read_journal(stage: Stage) -> Sequence[JournalRecord]:
    """Every entry that retention has left, partition by partition in order of offset."""
    return [
        JournalRecord(
            partition=record.partition,
            offset=record.offset,
            written_at=record.timestamp / 1000,
            fields=orjson.loads(record.value or b"{}"),
        )
        for record in await read_all(stage.kafka.bootstrap_servers, stage.journal)
    ]


async def undecided(stage: Stage) -> frozenset[RecordPlace]:
    """The records that stand in an attempt which nothing has closed: neither its return nor their outcome."""
    attempts: dict[tuple[int, str, int], set[RecordPlace]] = {}
    for entry in await read_journal(stage):
        if not entry.counts:
            continue
        match entry.kind:
            case "intent":
                attempts[entry.partition, entry.fields["send"], entry.fields["attempt"]] = set(entry.places())
            case "returned":
                attempts.pop((entry.partition, entry.fields["send"], entry.fields["attempt"]), None)
            case "outcome":
                settled = set(entry.places())
                for attempt in attempts.values():
                    attempt.difference_update(settled)
            case _:
                pass
    return frozenset().union(*attempts.values())


async def until_decided(stage: Stage, places: Iterable[RecordPlace]) -> None:
    """Return once the outcomes of all these records stand in the journal."""
    wanted = frozenset(places)

    async def decided() -> bool:
        entries = [entry for entry in await read_journal(stage) if entry.kind == "outcome" and entry.counts]
        return wanted <= {place for entry in entries for place in entry.places()}

    await eventually(decided, within_seconds=START_SECONDS, what="every outcome in the journal")


async def forge_claim(stage: Stage, partition: int) -> None:
    """Append what a former owner would, whose claim was on its way all the time."""
    claim = {
        "at": 0,
        "kind": "claim",
        "group": stage.group,
        "member": "a-former-owner",
        "process": "a-former-process",
        "version": "0",
        "claimed_at": 0.0,
    }
    await write(stage.kafka.bootstrap_servers, stage.journal, [Written(value=orjson.dumps(claim), partition=partition)])

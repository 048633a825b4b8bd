"""An honest day of one partition, and the ways to forge what it left behind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from tests.audit.fabricated import NOW, TOPIC, Verdict, World, settled

PENDING = 12


def honest() -> World:
    """Every way that a record can take, below the committed offset; one record is still on its way."""
    world = World()
    world.claim()
    offsets = [world.event() for _ in range(2)]
    offsets.append(world.events.append(key=b"customer", value=b"no event", headers=[("trace", b"1")]))
    offsets.append(world.event("e-0"))
    offsets += [world.event(key=None) for _ in range(8)]
    assert world.event() == PENDING
    _ordinary(world)
    _doubtful(world)
    _unlucky(world)
    world.intent("s11", 1, PENDING)
    world.checkpoint()
    world.publish(*range(PENDING))
    world.publish(4, 5)  # once more, around a crash
    world.dead_letter(2)
    world.committed = PENDING
    return world


UNSENT = Verdict(attempts=0, dispatched_at=None)


def _ordinary(world: World) -> None:
    """0 and 1 share a send; 2 is invalid; 3 repeats 0."""
    world.intent("s1", 1, 0, 1)
    world.settle(Verdict(send="s1", response={"status": 200, "id": 4, "message": "OK", "item": None}), 0, 1)
    world.settle(replace(UNSENT, status="invalid", reason="not_json"), 2)
    related = {"eventId": "e-0", "partition": 1, "offset": 0}
    world.settle(replace(UNSENT, status="duplicate", reason="repeated", related=related), 3)
    world.checkpoint()


def _doubtful(world: World) -> None:
    """4 was throttled once; 5 lost an answer and was sent again; 6 was out when its owner died."""
    world.intent("s2", 1, 4)
    world.returned("s2", 1)
    world.intent("s2", 2, 4)
    world.settle(Verdict(send="s2", attempts=2), 4)
    world.intent("s3", 1, 5)
    world.unknown("s3", 1)
    world.checkpoint()
    world.intent("s3", 2, 5)
    world.settle(Verdict(send="s3", attempts=2, marked=True), 5)
    world.segment(0, 1, 4, 5)
    world.intent("s4", 1, 6)
    world.claim()
    world.entry("intent", at=world.journal.end - 1, send="s5", attempt=1, campaign=7, offsets=[7], intended_at=NOW)
    world.settle(replace(UNSENT, status="in_doubt", reason="owner_lost", attempts=1), 6)
    world.settle(replace(UNSENT, status="expired", reason="deadline"), 7)


def _unlucky(world: World) -> None:
    """8 and 9 were halved; 10 never got further than its intent; 11 ran out of retries."""
    world.intent("s6", 1, 8, 9)
    world.returned("s6", 1)
    world.intent("s7", 1, 8)
    world.intent("s8", 1, 9)
    world.settle(Verdict(status="rejected", reason="contact_refused", send="s7", attempts=2), 8)
    world.settle(Verdict(send="s8", attempts=2), 9)
    world.intent("s9", 1, 10)
    world.returned("s9", 1, started=False)
    world.settle(replace(UNSENT, status="expired", reason="deadline"), 10)
    world.intent("s10", 1, 11)
    world.returned("s10", 1)
    world.settle(Verdict(status="failed", reason="retries_exhausted", send="s10"), 11)


def at(offset: int) -> tuple[str, int, int]:
    return (TOPIC, 1, offset)


def entry_with(world: World, **wanted: object) -> int:
    """Where the first entry stands that says this."""
    for record in world.journal.records:
        fields = orjson.loads(record.value or b"")
        if all(fields.get(name) == value for name, value in wanted.items()):
            return record.offset
    raise LookupError(wanted)


def void(world: World, **wanted: object) -> None:
    """Let the first entry that says this count no more."""
    change(world, {"at": -1}, **wanted)


def change(world: World, changes: dict[str, object], **wanted: object) -> None:
    """Let the first entry that says this say something else."""
    offset = entry_with(world, **wanted)
    (record,) = [record for record in world.journal.records if record.offset == offset]
    world.journal.change(offset, value=orjson.dumps({**orjson.loads(record.value or b""), **changes}))


def unpublish(world: World, offset: int) -> None:
    """Take every result of a record out of the topic."""
    world.results.records = [
        record for record in world.results.records if orjson.loads(record.value or b"")["source"]["offset"] != offset
    ]


def republish(world: World, offset: int, **forged: Any) -> None:
    """Replace a record's result."""
    unpublish(world, offset)
    world.publish(offset, **forged)


def forge_duplicate(world: World, related: dict[str, object]) -> None:
    """Let record 3 be a duplicate of something else, in the journal and in its result."""
    verdict = replace(world.verdicts[3], related=related)
    (_, offset) = [
        record.offset for record in world.journal.records if orjson.loads(record.value or b"").get("send", "") is None
    ][:2]
    world.journal.change(
        offset,
        value=orjson.dumps({"at": offset, "kind": "outcome", "send": None, "settled": [settled(verdict, [3])]}),
    )
    republish(world, 3, related=related)


def both(*forgeries: Callable[[World], object]) -> Callable[[World], None]:
    """One forgery that takes several steps."""

    def forge(world: World) -> None:
        for step in forgeries:
            step(world)

    return forge

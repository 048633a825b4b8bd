"""Plays a world from its seed: traffic comes in while things go wrong, then everything comes to its end."""

from datetime import UTC, datetime
from random import Random

import orjson

from consumer.core.policy import OnUnknown
from tests.simulation.faults import Faults
from tests.simulation.judge import Violation
from tests.simulation.world import EPOCH, World

STEPS = 1_000
STEPS_TO_SETTLE = 30_000


def played(seed: int, *, on_unknown: OnUnknown = OnUnknown.RESEND, faults: Faults | None = None) -> World:
    """Play one world and hold it against the promises.

    Raises:
        Violation: a promise was broken, or something hangs.
    """
    world = World(seed=seed, on_unknown=on_unknown, faults=faults or Faults())
    traffic = Random(seed)
    for _ in range(2):
        world.start_owner()
    for index, partition in enumerate(world.names):
        world.give(partition, world.owners[index % len(world.owners)])
    for step in range(STEPS):
        if step < STEPS // 2 and traffic.random() < 0.12:
            partition = traffic.choice(world.names)
            log = world.events[partition]
            if log and traffic.random() < 0.1:  # the producer publishes it once more
                world.publish(partition, orjson.loads(traffic.choice(log).value or b""))
            else:
                world.publish(partition, event(world, traffic, partition.number))
        world.step()
    for partition in world.names:  # a refusal settles nothing before a first 2xx: let there be one
        world.publish(partition, good_event(world, partition.number))
    if not world.settle_down(steps=STEPS_TO_SETTLE):
        raise Violation(f"seed {seed}: something hangs")
    world.judge.final()
    return world


def event(world: World, traffic: Random, number: int) -> dict[str, object]:
    """Make an event; now and then a refused contact, an urgent one, one with a deadline, one with options."""
    count = sum(map(len, world.events.values()))
    bad = "bad" if traffic.random() < 0.03 else "ok"
    made: dict[str, object] = {
        "eventId": f"p{number}-{count}-{bad}",
        "eventType": "order.shipped",
        "occurredAt": instant(world.time),
        "campaignId": traffic.choice([1, 1, 2]),
        "contact": {"phoneE164": f"+3460000000{traffic.randint(0, 5)}"},
    }
    if traffic.random() < 0.1:
        made["priority"] = "immediate"
    if traffic.random() < 0.15:
        made["expiresAt"] = instant(world.time + traffic.choice([1.5, 3, 30]))
    if traffic.random() < 0.1:
        made["send"] = {"flash": True}
    return made


def good_event(world: World, number: int) -> dict[str, object]:
    """Make an event that the platform accepts."""
    return {
        "eventId": f"p{number}-last-ok",
        "eventType": "order.shipped",
        "occurredAt": instant(world.time),
        "campaignId": 1,
        "contact": {"phoneE164": "+34600000099"},
    }


def instant(time: float) -> str:
    """Write a time of the world as RFC 3339."""
    return datetime.fromtimestamp(EPOCH + time, UTC).isoformat()

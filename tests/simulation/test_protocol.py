"""The promises, under random schedules of crashes, freezes, zombies and lost answers. One seed is one world."""

from datetime import UTC, datetime
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.outcome import Status
from consumer.core.policy import OnUnknown
from tests.simulation.world import EPOCH, Faults, World

STEPS = 1_500
STEPS_TO_SETTLE = 60_000


def played(seed: int, *, on_unknown: OnUnknown = OnUnknown.RESEND, faults: Faults | None = None) -> World:
    """Play one world: traffic comes in while things go wrong, then faults stop and everything comes to its end."""
    world = World(seed=seed, on_unknown=on_unknown, faults=faults or Faults())
    traffic = Random(seed)  # noqa: S311  # a replayable world
    for _ in range(2):
        world.start_owner()
    for index, partition in enumerate(world.names):
        world.give(partition, world.owners[index % len(world.owners)])
    for step in range(STEPS):
        if step < STEPS // 2 and traffic.random() < 0.1:
            partition = traffic.choice(world.names)
            log = world.events[partition]
            if log and traffic.random() < 0.1:
                world.repeat(partition, traffic.choice(log))
            else:
                world.publish(partition, event(world, traffic, partition.number))
        world.step()
    for partition in world.names:  # a refusal settles nothing before a first 2xx: let there be one
        world.publish(partition, good_event(world, partition.number))
    assert world.settle_down(steps=STEPS_TO_SETTLE), f"seed {seed}: something hangs"
    return world


def event(world: World, traffic: Random, number: int) -> dict[str, object]:
    """Make an event; now and then a refused contact, an urgent one, one with a deadline."""
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
    if traffic.random() < 0.1:
        made["expiresAt"] = instant(world.time + traffic.choice([3, 30]))
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


def check(world: World) -> None:
    """Hold the world against the promises."""
    verdicts = {}
    for place, outcomes in world.published.items():
        assert len(set(outcomes)) == 1, f"{place} has two outcomes: {outcomes}"
        verdicts[place] = outcomes[0][0]
    by_id: dict[str, set[Status]] = {}
    texts: dict[str, int] = {}
    for text in world.texts:
        texts[text.event_id] = texts.get(text.event_id, 0) + 1
    for partition in world.names:
        for record in world.events[partition]:
            verdict = verdicts[partition, record.offset]
            event_id = orjson.loads(record.value or b"")["eventId"]
            count = texts.get(event_id, 0)
            if verdict.status is Status.ACCEPTED:
                assert count >= 1, f"{event_id} is accepted and was never texted"
                assert count == 1 or verdict.possible_duplicate, f"{event_id} was texted {count} times, unmarked"
            by_id.setdefault(event_id, set()).add(verdict.status)
        assert world.committed.get(partition, 0) <= len(world.events[partition])
    for event_id, statuses in by_id.items():
        texted = statuses & {Status.ACCEPTED, Status.IN_DOUBT}
        assert texted or event_id not in texts, f"{event_id} is {statuses} and was texted"
    for started_at, contacts in world.requests:
        persons = [contact["phoneE164"] for contact in contacts]
        assert len(set(persons)) == len(persons), "a person stands twice in one request"
        for contact in contacts:
            deadline = deadline_of(world, contact["customData"])
            assert deadline is None or started_at < deadline, "a request started after a member's deadline"


def deadline_of(world: World, event_id: str) -> float | None:
    """Return an event's deadline."""
    for log in world.events.values():
        for record in log:
            fields = orjson.loads(record.value or b"")
            if fields["eventId"] == event_id:
                return datetime.fromisoformat(fields["expiresAt"]).timestamp() if "expiresAt" in fields else None
    raise AssertionError(event_id)


@given(seed=st.integers(0, 2**32 - 1))
def test_nobody_is_texted_twice_unmarked_whatever_goes_wrong(seed: int) -> None:
    check(played(seed))


@given(seed=st.integers(0, 2**32 - 1))
def test_with_hold_nobody_is_texted_twice_at_all(seed: int) -> None:
    world = played(seed, on_unknown=OnUnknown.HOLD)
    check(world)
    texted = [text.event_id for text in world.texts]
    assert len(set(texted)) == len(texted)


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_is_one_world(seed: int) -> None:
    first, second = played(seed), played(seed)
    assert first.texts == second.texts
    assert first.journal == second.journal


def test_the_worlds_reach_every_fault_and_every_turn_of_the_protocol() -> None:
    reached: set[str] = set()
    for seed in range(40):
        reached |= played(seed).reached
    assert reached >= {
        "append_lost",
        "ack_lost",
        "answer_lost",
        "server_error",
        "throttled",
        "unreachable",
        "refused",
        "crash",
        "freeze",
        "steal",
        "gap",
        "lost",
        "taken over",
        "withheld STALE_PROOF",
        "withheld NOT_OURS",
        "withheld EXPIRED",
    }

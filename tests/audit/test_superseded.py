"""Who gave way must have had somebody to give way to."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.audit.fabricated import NOW, Verdict, World
from tests.audit.honest import UNSENT, at


def newest_stays(*, gives_way_to: int = 2, reason: str = "newer_event", partition: int = 1, late: float = 0.0) -> World:
    """0 and 1 give way to 2, which is sent; 3 is no event; 4 gives way to nobody. All but the defaults are forged.

    `late` is how many seconds after 2 has its outcome 0 gives way.
    """
    world = World()
    world.claim()
    for _ in range(3):
        world.event()
    world.events.append(key=b"customer", value=b"no event")
    world.event()
    world.settle(replace(UNSENT, status="invalid", reason="not_json"), 3)
    world.dead_letter(3)
    gone = replace(UNSENT, status="superseded", reason="newer_event", related=_named(2), completed_at=NOW + 1.0)
    world.settle(gone, 1)
    forged = replace(gone, reason=reason, related=_named(gives_way_to, partition), completed_at=NOW + 2.25 + late)
    world.settle(forged, 0)
    world.intent("s1", 1, 2)
    world.settle(Verdict(send="s1"), 2)
    world.settle(replace(UNSENT, status="superseded", reason="older_event", related=_named(2)), 4)
    world.publish(*range(5))
    world.committed = 5
    return world


def _named(offset: int, partition: int = 1) -> dict[str, object]:
    return {"eventId": f"e-{offset}", "partition": partition, "offset": offset}


def test_events_that_gave_way_to_one_that_stays_are_proven() -> None:
    assert newest_stays().found() == set()
    assert newest_stays(late=4.0).found() == set(), "the clocks of two owners may differ by so much"


SUPERSEDED: dict[str, Callable[[], World]] = {
    "by itself": lambda: newest_stays(gives_way_to=0),
    "by a record that never was": lambda: newest_stays(gives_way_to=99),
    "by something in another partition": lambda: newest_stays(partition=2),
    "by a newer one, though an older one is said to stay": lambda: newest_stays(reason="older_event"),
    "by a record that is no event": lambda: newest_stays(gives_way_to=3),
    "by an event that had its outcome before": lambda: newest_stays(late=6.0),
    "by an event that gave way to it": lambda: newest_stays(gives_way_to=4),
    "for another reason": lambda: newest_stays(reason="deadline"),
}


@pytest.mark.parametrize("forged", SUPERSEDED.values(), ids=SUPERSEDED.keys())
def test_an_event_that_gave_way_to_what_cannot_have_taken_its_place_is_found(forged: Callable[[], World]) -> None:
    assert forged().found() == {("superseded_by_nothing", *at(0))}


def test_an_event_that_names_nobody_who_stays_is_found_and_so_is_one_whose_winner_has_vanished() -> None:
    world = newest_stays()
    world.settle(replace(world.verdicts[1], related=None), world.event())
    world.publish(5)
    world.committed = 6
    assert world.found() == {("superseded_by_nothing", *at(5))}
    world = newest_stays()
    world.events.remove(2)
    assert {where for where in world.found() if where[0] == "superseded_by_nothing"} == {
        ("superseded_by_nothing", *at(offset)) for offset in (0, 1, 4)
    }


def test_who_stayed_may_stand_where_the_audit_does_not_look() -> None:
    world = newest_stays()
    world.events.trim(3)
    assert world.found() == set()

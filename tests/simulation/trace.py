"""What happened in a world, in lines for people. Decides nothing."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import orjson

from tests.simulation.judge import Violation
from tests.simulation.scenario import Scenario
from tests.simulation.world import World


def story(scenario: Scenario) -> list[str]:
    """Play a scenario; return what it is and what happens in it, up to where a promise is broken."""
    world = World(scenario)
    last = "every promise is kept"
    try:
        world.play()
    except Violation as violation:
        last = f"broken: {violation}"
    return [*_settings(scenario), *readable(world), last]


def _settings(scenario: Scenario) -> Iterator[str]:
    told_apart = {"chances", "publications", "blows", "muted"}
    words = [
        f"{one.name}={_word(getattr(scenario, one.name))}" for one in fields(scenario) if one.name not in told_apart
    ]
    yield "  " + " ".join(words)


def _word(value: object) -> str:
    return ",".join(str(one) for one in sorted(value)) or "-" if isinstance(value, frozenset) else str(value)


def readable(world: World) -> list[str]:
    """Return the trace, a line each."""
    return [f"{time:9.4f}  {who:<9} {what} {_detail(what, detail)}".rstrip() for time, who, what, detail in world.trace]


def _detail(what: str, detail: Any) -> str:
    match what:
        case "journals":
            number, at, value = detail
            return f"{number}@{at} {_entry(at, value)}"
        case "results":
            number, value = detail
            result = orjson.loads(value)
            marked = " marked" if result["possibleDuplicate"] else ""
            return f"{number}@{result['source']['offset']} {result['status']} {result['reason'] or ''}{marked}"
        case "posts":
            return " ".join(contact["customData"] for contact in detail["contacts"])
        case "published":
            number, offset, value = detail
            return f"{number}@{offset} {(value or b'null').decode()}"
        case _:
            return str(detail)


def _entry(at: int, value: bytes) -> str:
    entry = orjson.loads(value)
    void = "" if entry["at"] == at or entry["kind"] == "claim" else f" void: says {entry['at']}"
    about = {name: said for name, said in entry.items() if name not in {"kind", "at", "group", "version", "member"}}
    for item in about.get("settled", []) if entry["kind"] == "outcome" else ():
        item.pop("fingerprints", None)
    return f"{entry['kind']}{void} {orjson.dumps(about).decode()}"

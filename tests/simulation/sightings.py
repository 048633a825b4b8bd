"""In which worlds the broken rules were seen: they are played first. `python -m tests.simulation.sightings` looks anew.

A note saves the search and proves nothing: a rule that its worlds no longer show is searched for from the first seed on.
"""

from collections.abc import Iterator
from pathlib import Path

import orjson

from tests.simulation.mutating import Mutation, Sighting, applied, seen
from tests.simulation.mutations import MUTATIONS

FIRST_SEED = 0
WORLDS = 5_000
"""So many are searched, at most."""

NOTES = Path(__file__).with_suffix(".json")
"""By rule, the seeds of the first worlds that show that it is broken."""
A_RULE = 3
"""So many seeds are noted: a change of the code makes other worlds of some."""
FURTHER = 400
"""Worlds in which the second and third are looked for."""


def sighted(mutation: Mutation, *, noted: tuple[int, ...] = ()) -> Sighting | None:
    """Break a rule and return who sees it, None if nobody does: in the noted worlds, or in one of all."""
    with applied(mutation):
        for seed in noted:
            sighting = seen(seed, worlds=1)
            if sighting is not None:
                return sighting
        return seen(FIRST_SEED, worlds=WORLDS)


def notes() -> dict[str, tuple[int, ...]]:
    """Return the seeds that are noted for each rule."""
    return {rule: tuple(seeds) for rule, seeds in orjson.loads(NOTES.read_bytes()).items()}


def look_anew(mutation: Mutation) -> Iterator[int]:
    """Return the seeds to note."""
    with applied(mutation):
        first, worlds = FIRST_SEED, WORLDS
        for _ in range(A_RULE):
            sighting = seen(first, worlds=worlds)
            if sighting is None:
                return
            yield sighting.seed
            first, worlds = sighting.seed + 1, FURTHER


if __name__ == "__main__":
    found = {mutation.rule: list(look_anew(mutation)) for mutation in MUTATIONS}
    NOTES.write_text("".join(["{\n", ",\n".join(f'  "{rule}": {seeds}' for rule, seeds in found.items()), "\n}\n"]))

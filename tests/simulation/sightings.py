"""In which worlds the broken rules were seen, and everything reached: they are played first.

A note saves the search and proves nothing: a rule that its worlds no longer show is searched for from the first seed on.
`python -m tests.simulation.sightings` looks anew for what its notes no longer show.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from tests.simulation.mutating import Mutation, Sighting, applied, seen
from tests.simulation.mutations import MUTATIONS
from tests.simulation.reach import WANTED, reached_in

WORLDS = 5_000
"""So many are searched, at most."""

NOTES = Path(__file__).with_suffix(".json")
"""By rule, the seeds of the first worlds that show that it is broken; under `REACH` those that together reach everything."""
REACH = "everything is reached"
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
        return seen(mutation.first_seed, worlds=WORLDS)


def notes() -> dict[str, tuple[int, ...]]:
    """Return the seeds that are noted for each rule."""
    return {rule: tuple(seeds) for rule, seeds in orjson.loads(NOTES.read_bytes()).items()}


def renewed(mutation: Mutation, noted: Iterable[int]) -> list[int]:
    """Return the seeds to note for a rule: those noted that still show it, or else those of other worlds."""
    with applied(mutation):
        return [seed for seed in noted if seen(seed, worlds=1) is not None] or list(_searched(mutation.first_seed))


def _searched(first: int) -> Iterator[int]:
    """Yield the first seeds that show the rule which is broken now."""
    worlds = WORLDS
    for _ in range(A_RULE):
        sighting = seen(first, worlds=worlds)
        if sighting is None:
            return
        yield sighting.seed
        first, worlds = sighting.seed + 1, FURTHER


def reaching(noted: Iterable[int]) -> list[int]:
    """Return seeds whose worlds together reach everything, none of them in vain."""
    found: dict[int, set[object]] = {}
    missing = set(WANTED)
    for seed in (*noted, *range(WORLDS)):
        if not missing:
            break
        reached = reached_in(seed)
        if reached & missing:
            found[seed] = reached
            missing -= reached
    for seed in list(found):
        others = set().union(*(reached for other, reached in found.items() if other != seed))
        if found[seed] <= others:
            del found[seed]
    return sorted(found)


def main() -> None:
    """Look at every note, and write those that hold now."""
    noted = notes()
    found = {REACH: reaching(noted.get(REACH, ()))}
    for mutation in MUTATIONS:
        found[mutation.rule] = renewed(mutation, noted.get(mutation.rule, ()))
        sys.stdout.write(f"{mutation.rule}: {found[mutation.rule]}\n")
        sys.stdout.flush()
    NOTES.write_text("".join(["{\n", ",\n".join(f'  "{rule}": {seeds}' for rule, seeds in found.items()), "\n}\n"]))


if __name__ == "__main__":
    main()

"""The simulation can see: with one rule broken, it finds a broken promise. What it took is printed (`pytest -rP`)."""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.mutating import Change, Mutation, MutationError, applied, seen
from tests.simulation.mutations import MUTATIONS
from tests.simulation.sightings import WORLDS, notes, sighted

SEARCHES = os.environ.get("CAMPAIGN_TEST_PROFILE") == "soak"
"""Whether each rule is searched for from the first seed on, rather than looked at where it was seen before."""


@pytest.fixture(scope="module", autouse=True)
def report() -> Iterator[list[str]]:
    """Tell at the end in which world each rule was seen."""
    lines: list[str] = []
    yield lines
    print("the seed of a world that shows a broken rule, and what is seen:")  # noqa: T201  # the figures are the point
    print("\n".join(sorted(lines)))  # noqa: T201  # see above


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_broken_rule_breaks_a_promise_that_somebody_sees(mutation: Mutation, report: list[str]) -> None:
    sighting = sighted(mutation, noted=() if SEARCHES else notes().get(mutation.rule, ()))
    assert sighting is not None, f"{WORLDS} worlds do not show it"
    assert seen(sighting.seed, worlds=1) is None, "with the rule in force, that world is in order"
    report.append(f"{sighting.seed:>6}  {mutation.rule}: {sighting.violation.args[0]}")


def test_a_note_saves_the_search_and_a_wrong_one_costs_it() -> None:
    rule = MUTATIONS[0]
    searched = sighted(rule)
    assert searched is not None
    there = sighted(rule, noted=(searched.seed,))
    assert there is not None
    assert (there.worlds, there.seed, there.violation.args) == (1, searched.seed, searched.violation.args)
    elsewhere = sighted(rule, noted=tuple(range(searched.seed)))
    assert elsewhere is not None
    assert elsewhere.seed == searched.seed


def test_a_rule_that_has_moved_is_missed_and_nothing_stays_broken() -> None:
    gone = Mutation("", (Change("consumer.core.journal.ledger:Ledger.failed", "what stood here once", ""),))
    with (
        pytest.raises(MutationError, match=r"stands 0 times in consumer\.core\.journal\.ledger:Ledger\.failed"),
        applied(gone),
    ):
        pass
    renamed = Mutation("", (*MUTATIONS[0].changes, Change("consumer.core.journal.ledger:Ledger.gone", "", "")))
    with pytest.raises(MutationError, match=r"no consumer\.core\.journal\.ledger:Ledger\.gone"), applied(renamed):
        pass
    assert seen(0, worlds=20) is None

"""The simulation can see: with one rule broken, it finds a broken promise. What it took is printed (`pytest -rP`)."""

from collections.abc import Iterator

import pytest

from tests.simulation.mutations import MUTATIONS, Change, Mutation, MutationError, applied, seen

FIRST_SEED = 0
WORLDS = 5_000


@pytest.fixture(scope="module", autouse=True)
def report() -> Iterator[list[str]]:
    """Tell at the end how many worlds each rule took."""
    lines: list[str] = []
    yield lines
    print(f"worlds from seed {FIRST_SEED} on until a broken rule is seen:")  # noqa: T201  # the figures are the point
    print("\n".join(sorted(lines)))  # noqa: T201  # see above


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_broken_rule_breaks_a_promise_that_somebody_sees(mutation: Mutation, report: list[str]) -> None:
    with applied(mutation):
        sighting = seen(FIRST_SEED, worlds=WORLDS)
    assert sighting is not None, f"{WORLDS} worlds do not show it"
    report.append(f"{sighting.worlds:>6}  {mutation.rule}: {sighting.violation.args[0]}")


def test_a_rule_that_has_moved_is_missed_and_nothing_stays_broken() -> None:
    gone = Mutation("", (Change("consumer.core.ledger:Ledger.failed", "what stood here once", ""),))
    with pytest.raises(MutationError, match=r"stands 0 times in consumer\.core\.ledger:Ledger\.failed"), applied(gone):
        pass
    renamed = Mutation("", (*MUTATIONS[0].changes, Change("consumer.core.ledger:Ledger.gone", "", "")))
    with pytest.raises(MutationError, match=r"no consumer\.core\.ledger:Ledger\.gone"), applied(renamed):
        pass
    assert seen(FIRST_SEED, worlds=20) is None

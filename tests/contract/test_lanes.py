"""The suite's lanes: what `make test` may run side by side, and that whatever needs brokers stays in their lanes."""

import ast
from pathlib import Path

import pytest

from tests.support.lanes import LONGEST, lane_of, turn_of

ROOT = Path(__file__).parents[2]
TEST_MODULES = sorted((ROOT / "tests").rglob("test_*.py"))
OF_BROKERS = {"kafka", "topics", "breakable", "proxy", "three_breakable"}
"""Fixtures that start brokers, or use them."""
TO_BREAK = {"breakable", "proxy", "three_breakable"}
"""Those of them whose brokers a lane starts once, and no other lane."""
STARTING_BROKERS = {"ApacheKafka", "stage_on"}


def _names(path: Path) -> set[str]:
    """Every fixture that a module asks for, and every name that it uses."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    asked = {argument.arg for node in nodes if isinstance(node, ast.arguments) for argument in node.args}
    return asked & OF_BROKERS | {node.id for node in nodes if isinstance(node, ast.Name)} & STARTING_BROKERS


@pytest.mark.parametrize("path", TEST_MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_that_asks_for_brokers_is_in_one_of_their_lanes(path: Path) -> None:
    module = str(path.relative_to(ROOT))
    lane = lane_of(f"{module}::test_something")
    names = _names(path)
    if names & TO_BREAK:
        assert lane == "breaking brokers", f"add {module} to BREAKING in tests/support/lanes.py"
    elif names:
        assert lane in {"breaking brokers", "brokers"}, f"add {module} to tests/support/lanes.py"


def test_modules_are_lanes_and_the_simulations_tests_run_beside_one_another() -> None:
    assert lane_of("tests/core/test_window.py::test_one[a]") == lane_of("tests/core/test_window.py::test_two")
    assert lane_of("tests/core/test_window.py::test_one") != lane_of("tests/core/test_post.py::test_one")
    assert lane_of("tests/simulation/test_reach.py::test_one[a]") != lane_of(
        "tests/simulation/test_reach.py::test_one[b]"
    )


def test_what_takes_long_is_begun_first_and_modules_last() -> None:
    lanes = ["tests/core/test_window.py", "tests/simulation/test_reach.py::test_one", "brokers", "breaking brokers"]

    assert sorted(lanes, key=turn_of) == lanes[::-1]
    assert turn_of("tests/core/test_window.py") == len(LONGEST)

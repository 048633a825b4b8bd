"""The suite's lanes: what `make test` may run side by side, and that whatever needs brokers stays in one lane."""

import ast
from pathlib import Path

import pytest

from tests.support.lanes import lane_of

ROOT = Path(__file__).parents[2]
TEST_MODULES = sorted((ROOT / "tests").rglob("test_*.py"))
OF_BROKERS = {"kafka", "topics", "breakable", "proxy", "three_breakable"}
"""Fixtures that start brokers, or use them."""
STARTING_BROKERS = {"ApacheKafka", "stage_on"}


def _asks_for_brokers(path: Path) -> bool:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    asked = {argument.arg for node in nodes if isinstance(node, ast.arguments) for argument in node.args}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return bool(asked & OF_BROKERS or used & STARTING_BROKERS)


@pytest.mark.parametrize("path", TEST_MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_that_asks_for_brokers_is_in_their_lane(path: Path) -> None:
    if _asks_for_brokers(path):
        module = str(path.relative_to(ROOT))
        assert lane_of(f"{module}::test_something") == "brokers", f"add {module} to tests/support/lanes.py"


def test_modules_are_lanes_and_the_simulations_tests_run_beside_one_another() -> None:
    assert lane_of("tests/core/test_window.py::test_one[a]") == lane_of("tests/core/test_window.py::test_two")
    assert lane_of("tests/core/test_window.py::test_one") != lane_of("tests/core/test_post.py::test_one")
    assert lane_of("tests/simulation/test_reach.py::test_one[a]") != lane_of(
        "tests/simulation/test_reach.py::test_one[b]"
    )

"""Which tests may run beside one another: `make test` runs the suite in two processes, as lanes. Runs nothing itself."""

from xdist.scheduler import LoadScopeScheduling

BROKERS = (
    "tests/chaos/",
    "tests/config/test_check.py",
    "tests/contract/test_deploy.py",
    "tests/contract/test_readme.py",
    "tests/demo/test_demo.py",
    "tests/kafka/",
    "tests/service/",
    "tests/traffic/test_produce.py",
    "tests/traffic/test_publisher.py",
)
"""Where tests need a Kafka. They stay in one process: one set of brokers, and nobody's time-out waits for another's."""


def lane_of(test: str) -> str:
    """Return what a test, by its pytest ID, must stay together with: a lane's tests run one after the other.

    A module is a lane, since its fixtures are; the simulation's tests share none, and are long.
    """
    if test.startswith(BROKERS):
        return "brokers"
    if test.startswith("tests/simulation/"):
        return test
    return test.partition("::")[0]


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives a process the next lane when it has done its own, the largest first."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)

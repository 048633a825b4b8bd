"""Which tests may run beside one another: `make test` runs the suite in two processes, as lanes. Runs nothing itself."""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

BREAKING = (
    "tests/chaos/",
    "tests/deploy/test_alerts.py",
    "tests/deploy/test_troubles.py",
    "tests/kafka/",
    "tests/service/test_troubles.py",
)
BROKERS = (
    "tests/campaigns/test_command.py",
    "tests/campaigns/test_page.py",
    "tests/config/test_check.py",
    "tests/contract/test_deploy.py",
    "tests/contract/test_image.py",
    "tests/contract/test_readme.py",
    "tests/demo/test_demo.py",
    "tests/deploy/test_chart_runs.py",
    "tests/deploy/test_dashboards.py",
    "tests/deploy/test_page.py",
    "tests/deploy/test_prometheus.py",
    "tests/lookup/test_command.py",
    "tests/service/",
    "tests/traffic/test_produce.py",
    "tests/traffic/test_publisher.py",
)
"""Where tests need a Kafka. Those that break brokers share theirs in one lane, all others in a second one.

Two such lanes wait more than they work: sessions that end, brokers that start. More of them would outrun two cores,
and their time-outs with them.
"""
LONGEST = ("breaking brokers", "brokers", "tests/simulation/test_promises.py", "tests/simulation/")
"""The beginnings of lanes that take long, in the order in which they are begun: what is left for the end is short."""


def lane_of(test: str) -> str:
    """Return what a test, by its pytest ID, must stay together with: a lane's tests run one after the other.

    A module is a lane, since its fixtures are; the simulation's tests share none, and are long.
    """
    if test.startswith(BREAKING):
        return "breaking brokers"
    if test.startswith(BROKERS):
        return "brokers"
    if test.startswith("tests/simulation/"):
        return test
    return test.partition("::")[0]


def turn_of(lane: str) -> int:
    """Return when a lane is begun: a smaller number before a larger one."""
    return next((turn for turn, start in enumerate(LONGEST) if lane.startswith(start)), len(LONGEST))


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives a process the next lane when it has done its own, the longest first."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=turn_of), last=False)
        super()._assign_work_unit(node)

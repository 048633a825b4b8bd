"""Runs `campaign-consumer replay plan` beside a stage, as operators do. Judges nothing itself."""

from dataclasses import dataclass
from pathlib import Path

from consumer.demo.arithmetic import RecordPlace
from consumer.replay.document import Plan, plan_of
from tests.service.harness import Settings, Stage
from tests.service.test_inspect import ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """How a plan ended, and what it said."""

    exit_code: int
    output: str
    errors: str

    @property
    def plan(self) -> Plan:
        """The plan of `--json`."""
        assert self.exit_code == 0, self.errors
        return plan_of(self.output.encode())

    @property
    def places(self) -> set[RecordPlace]:
        """Where the records stand that would be sent."""
        return places_of(self.plan)


def places_of(plan: Plan) -> set[RecordPlace]:
    """Where the records of a plan stand."""
    return {RecordPlace(one.partition, record.offset) for one in plan.records for record in one.records()}


def counts_of(plan: Plan) -> dict[str, int]:
    """The counts that are not nothing."""
    counts = {name: getattr(plan.counts, name) for name in plan.counts.__struct_fields__}
    return {name: count for name, count in counts.items() if count}


async def planned(stage: Stage, *arguments: str, settings: Settings | None = None) -> Planned:
    """Run the command to its end, with Kafka's settings alone."""
    environment = {name: value for name, value in stage.environment(settings).items() if "_API__" not in name}
    code, output, errors = await ran("replay", "plan", *arguments, environment=environment)
    return Planned(exit_code=code, output=output, errors=errors)


def lines_in(file: Path, *lines: str) -> Path:
    """Write lines into a file."""
    file.write_text("\n".join(lines), "utf-8")
    return file

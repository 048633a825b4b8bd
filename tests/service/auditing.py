"""Runs `campaign-consumer audit` beside a stage, as operators do. Judges nothing itself."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from consumer.demo.processes import command_line
from tests.service.harness import Settings, Stage

AUDIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """How an audit ended, and what it said."""

    exit_code: int
    output: str
    errors: str

    @property
    def report(self) -> dict[str, Any]:
        """The report of `--json`."""
        report: dict[str, Any] = orjson.loads(self.output)
        return report

    def sum_of(self, count: str) -> int:
        """A count, over all partitions."""
        return sum(partition[count] for partition in self.report["partitions"])

    @property
    def violations(self) -> set[tuple[str, str, int, int]]:
        """Kind and coordinates of each violation."""
        named = ("kind", "topic", "partition", "offset")
        return {tuple(violation[name] for name in named) for violation in self.report["violations"]}


async def audited(stage: Stage, *arguments: str, settings: Settings | None = None) -> Audited:
    """Run the command to its end."""
    process = await asyncio.create_subprocess_exec(
        *command_line("audit", *arguments),
        env=stage.environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(AUDIT_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return Audited(exit_code=process.returncode, output=output.decode(), errors=errors.decode())

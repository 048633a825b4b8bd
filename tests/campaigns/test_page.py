"""The operators' page about stopping a campaign, followed line by line while a service runs."""

import asyncio
import re
import shlex
from pathlib import Path

from consumer.demo.processes import command_line
from tests.service.events import urgent, written
from tests.service.harness import stage_on
from tests.support.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "deploy/README.md").read_text()
SECTION = PAGE.partition("\n## Stopping a campaign\n")[2].partition("\n## ")[0]
CAMPAIGN = 421


def blocks() -> list[list[str]]:
    """The commands, block by block."""
    found = re.findall(r"^```console\n(.*?)^```", SECTION, flags=re.MULTILINE | re.DOTALL)
    return [[line.removeprefix("$ campaign-consumer ") for line in block.splitlines()] for block in found]


async def test_an_operator_can_follow_the_page_line_by_line(kafka: Cluster, tmp_path: Path) -> None:
    (hold, show), (release,), (hold_again, cancel, let_go), (cancel_one,), (hold_all, release_all) = blocks()
    async with stage_on(kafka, tmp_path) as stage:

        async def run(command: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *command_line(*shlex.split(command)),
                env=stage.environment(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(90):
                said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            return said.decode()

        service = await stage.start()
        await run(hold)
        assert f"campaign {CAMPAIGN} is held" in await run(show)
        await service.until_obeys(1)
        held = await stage.publish([written(urgent(CAMPAIGN, n)) for n in range(3)])
        await service.until_holds(3)
        await run(release)
        assert {result["status"] for result in await stage.results.until(held)} == {"accepted"}

        await service.until_obeys(0)
        await run(hold_again)
        await service.until_obeys(1)
        held = await stage.publish([written(urgent(CAMPAIGN, n)) for n in range(3)])
        await service.until_holds(3)
        await run(cancel)
        await run(let_go)
        assert {result["status"] for result in await stage.results.until(held)} == {"cancelled"}
        later = await stage.publish([written(urgent(CAMPAIGN, 9, eventId="order-99812"))])
        assert [result["status"] for result in await stage.results.until(later)] == ["accepted"]
        assert "order-99812: too late, it is accepted" in await run(cancel_one)

        await service.until_obeys(0)
        await run(hold_all)
        await service.until_obeys(1)
        held = await stage.publish([written(urgent(6, 1))])
        await service.until_holds(1)
        await run(release_all)
        await stage.results.until(held)
        assert (await run(show)).startswith("nothing is held\n")
        assert await service.stop() == 0

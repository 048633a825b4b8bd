"""The page on moving to another group, followed line by line with Kafka's own tool: nobody is texted twice or left out."""

import asyncio
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from consumer.demo import jars
from consumer.demo.java import Java
from tests.service.events import event, urgent, written
from tests.service.harness import Settings, Stage, stage_on
from tests.service.test_inspect import seen
from tests.support.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "deploy/UPGRADING.md").read_text()
KAFKA_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
HELD = 421


def commands(language: str, heading: str = "Moving to another group") -> Sequence[str]:
    """A section's commands in blocks of this language."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```", section, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.strip().removeprefix("$ ") for line in lines]


async def type_in(stage: Stage, folder: Path, command: str, settings: Settings | None = None) -> str:
    """Run a command in a shell, with the stage's names in place of the page's; what it said."""
    if command.startswith("kafka-"):
        command = command.replace("--group campaign-consumer", f"--group {stage.group}")
        command = command.replace("--topic contact-events", f"--topic {stage.events}")
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", command),
        cwd=folder,
        env={
            **stage.environment(settings),
            "BROKERS": stage.kafka.bootstrap_servers,
            "PATH": f"{folder}:{Path(sys.executable).parent}:/usr/bin:/bin",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, f"{command}\n{said.decode()}"
    return said.decode()


def install_kafkas_tool(folder: Path) -> None:
    """Put Kafka's own tool where the page's commands find it."""
    java = Java(class_path=tuple(jars.fetch(lambda _line: None)), temporary_folder=folder)
    tool = folder / "kafka-consumer-groups.sh"
    tool.write_text(f'#!/bin/bash\nexec {shlex.join(java.command(KAFKA_GROUPS, log_level="off"))} "$@"\n')
    tool.chmod(0o700)


async def left_over(stage: Stage) -> list[tuple[int, int]]:
    """What the page's condition looks at, of each partition."""
    return [(one["settledAhead"], one["unknown"]) for one in await seen(stage)]


async def test_the_way_to_another_group_texts_nobody_twice(kafka: Cluster, tmp_path: Path) -> None:
    _ask_lag, look, list_holds, topics, look_again, hold, check = commands("console")
    export, take_over = commands("sh")
    install_kafkas_tool(tmp_path)
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start()
        await type_in(stage, tmp_path, hold)
        await service.until_obeys(1)
        held = await stage.publish([written(event(HELD, 1))])
        sent = await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(2, 8)])
        await stage.results.until(sent)
        assert (await left_over(stage))[0] == (3, 0), "a held event stands before what is settled: not yet"

        await type_in(stage, tmp_path, f"campaign-consumer campaigns release {HELD}")
        await stage.results.until(held)
        assert await service.stop() == 0
        assert await left_over(stage) == [(0, 0), (0, 0)]
        assert "ordinary" in await type_in(stage, tmp_path, look)
        await type_in(stage, tmp_path, list_holds)
        before = [one["committed"] for one in await seen(stage)]
        meanwhile = await stage.publish([written(urgent(6, 20 + n), partition=n) for n in range(2)])

        await type_in(stage, tmp_path, export)
        await type_in(stage, tmp_path, take_over)
        stage.group = f"{stage.group}-2"
        stage.surroundings["CAMPAIGN_KAFKA__JOURNAL_TOPIC"] = "{topic}-journal-2"
        anew = {"KAFKA__CONTROL_TOPIC": f"{stage.events}-control-2"}
        await type_in(stage, tmp_path, topics, anew)
        assert "ordinary" in await type_in(stage, tmp_path, look_again, anew)
        assert [(one["state"], one["committed"]) for one in await seen(stage)] == [("ordinary", n) for n in before]
        await type_in(stage, tmp_path, hold, anew)
        await type_in(stage, tmp_path, check, anew)

        moved = await stage.start(anew)
        await stage.results.until(meanwhile)
        assert await moved.stop() == 0
        account = await stage.account()
        assert (account.accepted, account.repeats) == (9, 0)

        stage.group = f"{stage.group}-mirrored"
        (pass_over,) = commands("sh", "Moving to another cluster")
        await type_in(stage, tmp_path, pass_over)
        assert [(one["committed"], one["lag"]) for one in await seen(stage)] == [(5, 0), (4, 0)]

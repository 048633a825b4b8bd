"""The page on resending is true: its commands, typed one after the other as they stand there, resend what failed, once."""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from consumer.replay.document import plan_of
from tests.service.events import id_of, phone, urgent, written
from tests.service.harness import Stage, stage_on
from tests.support.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "deploy" / "RESENDING.md").read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
CAMPAIGN, DOUBTFUL = 421, 12
SETTINGS = {
    "DELIVERY__RETRY__MAX_ATTEMPTS": "2",
    f"CAMPAIGNS__{DOUBTFUL}__DELIVERY__ON_UNKNOWN_OUTCOME": "hold",
}
FAULTS = (
    {"fault": "status", "status": 408, "campaign": CAMPAIGN},
    {"fault": "reset", "accept": True, "campaign": DOUBTFUL},
)


async def type_in(stage: Stage, folder: Path, command: str, answer: str = "") -> str:
    """Run a command in a shell; what it said. AssertionError when it fails."""
    settings = {name: value for name, value in stage.environment(SETTINGS).items() if "_API__" not in name}
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", command),
        cwd=folder,
        env={**settings, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(answer.encode())
    assert process.returncode == 0, f"{command}\n{said.decode()}"
    return said.decode()


async def a_bad_hour(stage: Stage) -> tuple[Sequence[str], dict[str, object]]:
    """Return the references of those who got nothing, and an event that lacks its campaign."""
    good = await stage.publish([written(urgent(CAMPAIGN, number)) for number in (1, 2)])
    await stage.results.until(good)
    await stage.ask.set_faults(*FAULTS)
    failed = [urgent(CAMPAIGN, number) for number in range(3, 8)]
    broken = urgent(CAMPAIGN, 9)
    whole = dict(broken)
    del broken["campaignId"]
    others = [written(urgent(DOUBTFUL, 8)), written(broken)]
    await stage.results.until(await stage.publish([*(written(one) for one in failed), *others]))
    await stage.ask.clear_faults()
    return [id_of(one) for one in failed], whole


async def test_the_page_on_resending_can_be_followed_line_by_line(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start(SETTINGS)
        failed, whole = await a_bad_hour(stage)
        (tmp_path / "complaints.txt").write_text(f"{phone(1)}\n")
        said: dict[str, str] = {}

        for command in COMMANDS:
            answer = ""
            if command.startswith("campaign-consumer produce"):
                mend(tmp_path / "letters.jsonl")
            if " run " in command and "--dry-run" not in command:
                answer = f"{plan_of((tmp_path / 'plan.json').read_bytes()).counts.would_send}\n"
            said[command] = await type_in(stage, tmp_path, command, answer)

        told = {key: words for command, words in said.items() for key in ("accepted", "in_doubt") if key in command}
        assert "Would send 1 text to 1 person, 1 of them a second text of the campaign." in told["accepted"]
        assert "Would send 1 text to 1 person." in told["in_doubt"]
        texts = await stage.texts()
        assert [texts[reference] for reference in failed] == [1] * len(failed)
        await stage.results.until_count(2 + len(failed) + 2 + 1 + len(failed))
        assert (await stage.texts())[id_of(whole)] == 1


def mend(file: Path) -> None:
    """Add by hand what the letters' reason says is missing."""
    letters = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert ["campaignId" in letter["headers"]["dlq-detail"] for letter in letters] == [True]
    for letter in letters:
        letter["value"]["campaignId"] = CAMPAIGN
    file.write_bytes(b"".join(orjson.dumps(letter) + b"\n" for letter in letters))

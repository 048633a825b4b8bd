"""Records a terminal: an outage, then its resend, by the real commands beside the real service. A command, no test.

`python -m tests.service.recording deploy/resending.svg`
"""

import asyncio
import io
import os
import pty
import re
import shlex
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from consumer.demo.apache_kafka import ApacheKafka
from tests.service.events import ago, urgent, written
from tests.service.harness import Settings, Stage, stage_on

COLUMNS, ROWS = 104, 60
SETTINGS: Settings = {"DELIVERY__RETRY__MAX_ATTEMPTS": "2"}
OUTAGE = {"fault": "status", "status": 408, "campaign": 421}
LOST = {"fault": "reset", "accept": True, "campaign": 12}
SHIPPED, OTHER, DOUBTFUL = 421, 11, 12
CONTROL = re.compile(r"(\r|\n|\x1b\[\??[\d;]*[A-Za-z])")
"""What moves the cursor, erases, or colours."""
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""They would be fetched from somebody's server; a reader has a font of his own."""


def screen(written_there: str) -> str:
    """Return what stands on a terminal in the end, with its colours: lines may have been erased and written anew."""
    lines, row = [""], 0
    for part in CONTROL.split(written_there):
        match part:
            case "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case "\x1b[1A":
                row = max(0, row - 1)
            case "\x1b[2K":
                lines[row] = ""
            case _ if part.startswith("\x1b") and not part.endswith("m"):
                pass  # shows or hides the cursor
            case _:
                lines[row] += part.replace("\r", "")
    return "\n".join(lines).rstrip()


async def typed(stage: Stage, command: str, *, answer: str = "") -> str:
    """Run a command on a terminal; return what stands there in the end."""
    environment = {name: value for name, value in stage.environment(SETTINGS).items() if "_API__" not in name}
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer", *shlex.split(command)[1:]),
        cwd=stage.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS), "LOGNAME": "ana"},
    )
    os.close(theirs)
    said = b""
    try:
        while part := await asyncio.to_thread(_part, ours):
            said += part
            if answer and said.rstrip().endswith(b"to send them:"):
                os.write(ours, answer.encode() + b"\n")
                answer = ""
    finally:
        os.close(ours)
    assert await process.wait() == 0, said.decode()
    return screen(said.decode())


def _part(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # whoever wrote has gone
        return b""


async def an_outage(stage: Stage) -> None:
    """Let an evening go by: most texts go out, then one campaign fails, and of some nobody knows."""
    instance = await stage.start({**SETTINGS, f"CAMPAIGNS__{DOUBTFUL}__DELIVERY__ON_UNKNOWN_OUTCOME": "hold"})
    good = [urgent(OTHER, person) for person in range(300)] + [urgent(SHIPPED, person) for person in range(312)]
    await stage.results.until(await stage.publish([written(one, partition=n % 3) for n, one in enumerate(good)]))
    await stage.ask.set_faults(OUTAGE, LOST)
    bad = [urgent(SHIPPED, person) for person in range(250, 1_484)]
    bad += [urgent(SHIPPED, 2_000 + person, expiresAt=ago(1.0)) for person in range(27)]
    bad += [urgent(DOUBTFUL, person) for person in range(41)]
    await stage.results.until(await stage.publish([written(one, partition=n % 3) for n, one in enumerate(bad)]))
    await stage.ask.clear_faults()
    assert await instance.stop() == 0


async def resent(stage: Stage) -> str:
    """Resend, and return how that looks, as SVG."""
    await an_outage(stage)
    await stage.start(SETTINGS)
    shown: list[tuple[str, str]] = []
    for command, answer in (
        ("campaign-consumer replay plan --from -2h --rate 400 --output plan.json", ""),
        ("campaign-consumer replay run plan.json --rate 400 --reason 'the outage of 15:40'", "1234"),
        ("campaign-consumer replay status plan.json --wait", ""),
    ):
        shown.append((command, await typed(stage, command, answer=answer)))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command, said in shown:
        console.print(Text("$ ", style="bold green") + Text(command, style="bold"))
        console.print(Text.from_ansi(said))
        console.print()
    return FONTS.sub("", console.export_svg(title="Resending"))


async def recorded() -> str:
    """Do it on brokers of our own."""
    with tempfile.TemporaryDirectory() as folder:
        async with ApacheKafka() as kafka, stage_on(kafka, Path(folder), partitions=3) as stage:
            return await resent(stage)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(asyncio.run(recorded()), "utf-8")

"""Takes pictures of the operations page over a real demo that is in trouble. A command, no test.

`python -m tests.deploy.screenshots deploy/screenshots`
"""

import asyncio
import re
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from consumer.demo.child_process import ChildProcess
from consumer.demo.processes import command_line
from consumer.demo.surroundings import plain_environment
from consumer.sandbox.client import SandboxClient
from tests.deploy.chromium import Chromium, OpenPage, Theme, chromium
from tests.deploy.small_png import small_png
from tests.support.eventually import eventually

THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES = {1280: 1330, 390: 1560}
"""Width, and how much of the page's height is shown."""
EVENTS, PER_SECOND = 150_000, 700
GOOD_SECONDS, BAD_SECONDS = 95.0, 35.0
SLOW = {"fault": "latency", "seconds": [0.15, 0.9]}
TROUBLE = {"fault": "status", "status": 503, "message": "Maintenance: sending is resumed shortly"}
START_SECONDS, END_SECONDS = 120.0, 120.0


async def found_in(log: Path, pattern: str) -> str:
    """Return what the demo has printed, once it has."""

    async def look() -> str | None:
        found = re.search(pattern, await asyncio.to_thread(log.read_text, "utf-8"))
        return found and found[1]

    return await eventually(look, within_seconds=START_SECONDS, what=f"{pattern!r} in {log}")


async def pages_of(browser: Chromium, url: str) -> dict[str, OpenPage]:
    """Open the page in each size and theme. The charts begin with it."""
    return {
        f"page-{width}-{theme}": await browser.open(url, width=width, height=height, theme=theme)
        for width, height in SIZES.items()
        for theme in THEMES
    }


async def take(folder: Path) -> None:
    """Run the demo, let the platform fail, and take the pictures."""
    async with AsyncExitStack() as stack:
        kept = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = command_line("demo", "--events", str(EVENTS), "--rate", str(PER_SECOND))
        demo = await asyncio.to_thread(
            ChildProcess.start, command, output=kept / "demo.log", environment=plain_environment()
        )
        try:
            sandbox_url = await found_in(kept / "demo.log", r"sandbox platform at (\S+),")
            url = await found_in(kept / "demo.log", r"service at (\S+),")
            sandbox = await stack.enter_async_context(SandboxClient(sandbox_url))
            browser = await stack.enter_async_context(chromium())
            await sandbox.set_faults(SLOW)
            pages = await pages_of(browser, url)
            await asyncio.sleep(GOOD_SECONDS)
            await sandbox.add_faults(TROUBLE)
            await asyncio.sleep(BAD_SECONDS)
            for name, page in pages.items():
                assert page.complaints == []
                picture = small_png(await page.view.screenshot())
                (folder / f"{name}.png").write_bytes(picture)
                sys.stdout.write(f"{folder / name}.png: {len(picture) // 1024} KiB\n")
            await sandbox.clear_faults()
        finally:
            demo.send(signal.SIGINT)
            await asyncio.to_thread(demo.wait, END_SECONDS)


def main() -> None:
    """Take them into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    asyncio.run(take(folder))


if __name__ == "__main__":
    main()

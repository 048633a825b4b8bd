"""Starts Debian's Chromium for a test, and notes whatever a page has to complain of. Judges nothing.

    async with chromium() as browser:
        page = await browser.open(service.url)
        await expect(page.view.locator("#sentence")).to_contain_text("sending")
        assert page.complaints == []

Each page has a profile of its own. A page's own policy holds, so `evaluate` runs, and `wait_for_function` does not.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

EXECUTABLE = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SERIOUS = frozenset({"serious", "critical"})
AXE = "axe_playwright_python"
"""The package that brings axe-core."""

Theme = Literal["light", "dark"]

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@dataclass(eq=False, kw_only=True)
class OpenPage:
    """A page, and what went wrong in it: errors, warnings, violations of its policy."""

    view: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note complaints from now on."""
        self.view.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.view.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    async def text(self, selector: str) -> str:
        """Return what stands in an element."""
        return await self.view.locator(selector).inner_text()

    async def barriers(self) -> list[dict[str, Any]]:
        """Return what axe finds that keeps people from using the page, serious or worse."""
        await self.view.evaluate(resources.files(AXE).joinpath("axe.min.js").read_text("utf-8"))
        found = await self.view.evaluate("axe.run()")
        return [violation for violation in found["violations"] if violation["impact"] in SERIOUS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chromium:
    """A browser that is running."""

    browser: Browser

    async def open(
        self, url: str, *, width: int = 1280, height: int = 900, theme: Theme = "light", without: Sequence[str] = ()
    ) -> OpenPage:
        """Open a page with a profile of its own; requests to addresses like those in `without` come to nothing."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        page = OpenPage(view=await context.new_page())
        page.listen()
        await page.view.add_init_script(REPORT_VIOLATIONS)
        for address in without:
            await page.view.route(address, lambda route: route.abort())
        await page.view.goto(url)
        return page


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """Run the browser while this is open."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=EXECUTABLE, args=list(FLAGS))
        try:
            yield Chromium(browser=browser)
        finally:
            await browser.close()

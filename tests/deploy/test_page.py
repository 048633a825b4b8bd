"""The operations page in a real browser, over the real service: it says what is so, to everybody, and says it soon."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.deploy.chromium import OpenPage, Theme, chromium
from tests.service.events import event, id_of, urgent, written
from tests.service.harness import PATIENT, Instance, stage_on
from tests.support.cluster import Cluster

SOON_MS = 10_000
TOKEN = "a token of the test"
BRIEF = ["1 ms", "5 ms", "90 ms", "0.1 s", "0 s"]
"""How the page writes tenths of a millisecond to tenths of a second: what took time never took none."""

COUNT_WHAT_IS_READ_OUT = """
window.readOut = 0;
new MutationObserver(() => { window.readOut += 1; })
  .observe(document.getElementById("spoken"), { childList: true, characterData: true, subtree: true });
"""


async def says(page: OpenPage, what: str | re.Pattern[str], *, at: str = "#sentence", ms: float = SOON_MS) -> None:
    """Wait until the page says this."""
    await expect(page.view.locator(at)).to_contain_text(what, timeout=ms)


async def test_the_page_shows_what_the_service_does_and_finds_a_send_by_its_event(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage, chromium() as browser:
        service = await stage.start({"CAMPAIGNS__7__WINDOW__DURATION": "600s", **PATIENT})
        first = urgent(6, 1)
        await stage.results.until(await stage.publish([written(first)]))
        await stage.publish([written(event(7, person), partition=person % 2) for person in range(30)])
        await service.until_holds(30)
        page = await browser.open(service.url)

        await says(page, re.compile("^(sending|idle)"))
        await expect(page.view.locator("#live")).to_have_class("good", timeout=SOON_MS)
        await says(page, "live", at="#live")
        await expect(page.view.locator("#partitions tr")).to_have_count(2)
        await says(page, "owned", at="#partitions tr:nth-child(2)")
        await says(page, re.compile(r"^7\s*30"), at="#windows")
        await says(page, re.compile(r"^7\s*30"), at="#waiting")
        await says(page, "30 records without a result", at="#figures")
        assert "Campaign consumer" in await page.view.title()
        assert await page.view.evaluate("[0.0001, 0.0049, 0.09, 0.1, 0].map(span)") == BRIEF
        await page.view.evaluate(COUNT_WHAT_IS_READ_OUT)

        await stage.publish([written(event(7, person)) for person in range(100, 112)])
        await says(page, re.compile(r"^7\s*42"), at="#windows", ms=5_000)
        assert await page.view.evaluate("window.readOut") == 0, "figures that move are not read out"

        await page.view.fill("#wanted", id_of(first))
        await page.view.keyboard.press("Enter")
        await says(page, re.compile(rf"{id_of(first)}.*6.*ended.*accepted", re.DOTALL), at="#events")
        await says(page, "accepted 200", at="#sends")
        took = r"accepted 200(\d+ ms|[\d.]*[1-9] s)"  # what took no tenth of a second took its time all the same
        await says(page, re.compile(took), at="#sends")
        await page.view.locator("#events button").click()
        await says(page, re.compile("^Send [0-9a-f]{32}: 0 events, 1 sends"), at="#found")
        await page.view.fill("#wanted", "nobody")
        await page.view.get_by_role("button", name="Find").click()
        await says(page, "Nothing is known of send nobody", at="#found")
        await page.view.get_by_role("button", name="Latest").click()
        await says(page, "accepted 200", at="#sends")
        assert page.complaints == [
            "error: Failed to load resource: the server responded with a status of 404 (Not Found)"
        ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_nobody_is_kept_out_by_sight_width_or_keyboard(kafka: Cluster, tmp_path: Path, theme: Theme) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage, chromium() as browser:
        service = await stage.start({"CAMPAIGNS__7__WINDOW__DURATION": "600s", **PATIENT})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "status", "status": 503, "message": "busy"})
        await stage.publish([written(event(campaign, 1)) for campaign in (6, 7, 8)])
        for width in (1280, 390):
            page = await browser.open(service.url, width=width, theme=theme)
            await says(page, "busy", at="#failures")
            await says(page, "6", at="#sends")
            assert await page.barriers() == []
            assert await page.view.evaluate("document.documentElement.scrollWidth") == width
            await page.view.locator("#rate-chart svg").focus()
            await page.view.keyboard.press("ArrowLeft")
            await says(page, "ago", at="#rate-legend")
            assert page.complaints == []


async def test_the_page_says_within_seconds_what_is_wrong_and_when_it_is_over(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, chromium() as browser:
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        page = await browser.open(service.url)
        await says(page, re.compile("^(sending|idle)"))
        await stage.ask.set_faults({"fault": "status", "status": 401, "message": "who are you?"})
        waiting = await stage.publish([written(urgent(6, person)) for person in range(2, 5)])

        await says(page, "refuses")
        await expect(page.view.locator("#verdict")).to_have_class("verdict bad")
        await says(page, "CampaignPlatformRefusesUs", at="#causes")
        await says(page, "refuses", at="#spoken")
        await says(page, re.compile("401.*who are you[?]", re.DOTALL), at="#failures")
        await says(page, "refuses us", at="#access")

        await stage.ask.clear_faults()
        await stage.results.until(waiting)
        await says(page, re.compile("^(sending|idle)"), ms=30_000)
        assert page.complaints == []

        await service.kill()
        await says(page, "the service does not answer; the figures below are from", ms=15_000)


async def test_the_page_shows_whose_events_have_no_room_and_are_parked(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, chromium() as browser:
        service = await stage.start({"BUFFER__MAX_EVENTS": "300", **PATIENT})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "hold", "campaign": 7})
        await stage.publish([written(event(7, person)) for person in range(900)])
        page = await browser.open(service.url)
        await says(page, re.compile(r"of 300 events, \d+ parked"), at="#figures")
        await says(page, re.compile(r"Parked\s*\d+ records in \d+ ranges"), at="#buffer")
        await says(page, "goes on past what has no room", at="#buffer")
        await says(page, re.compile(r"parked \d+"), at="#parts-legend")
        await says(page, re.compile(r"^[6-8]\d\d$"), at="#waiting td:nth-child(3)")
        assert page.complaints == []


@pytest.mark.parametrize("theme, colour", [("light", "rgb(176, 0, 109)"), ("dark", "rgb(255, 110, 199)")])
async def test_nobody_takes_a_rehearsal_for_the_real_thing(
    kafka: Cluster, tmp_path: Path, theme: Theme, colour: str
) -> None:
    async with stage_on(kafka, tmp_path) as stage, chromium() as browser:
        service = await stage.start({"DELIVERY__DRY_RUN": "true", "DELIVERY__TEST_RECIPIENTS": '["+34600111222"]'})
        page = await browser.open(service.url, theme=theme)
        banner = page.view.locator("#modes")
        await says(page, "DRY RUN: no request is made, nobody is texted", at="#modes")
        await says(page, "TEST RECIPIENTS: nobody is texted but the 1 on the list", at="#modes")
        await expect(banner).to_be_in_viewport()
        await expect(banner).to_have_css("background-color", colour)
        await says(page, "CampaignDryRunInForce", at="#causes")
        assert await page.barriers() == []
        assert page.complaints == []


async def test_without_the_stream_the_page_asks(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, chromium() as browser:
        service = await stage.start({"WINDOW__DURATION": "600s"})
        page = await browser.open(service.url, without=["**/status/stream"])
        await says(page, "asking every 2 s", at="#live")
        await stage.publish([written(event(7, person)) for person in range(5)])
        await says(page, re.compile(r"^7\s*5"), at="#windows")


SHOW_WITHOUT_EACH_FIELD = """
async () => {
  const now = await (await fetch("status")).json();
  const partition = now.partitions[0];
  const without = (whole, name) => [null, undefined].map((nothing) => ({ ...whole, [name]: nothing }));
  const statuses = [{}, ...Object.keys(now).flatMap((name) => without(now, name))];
  const partitions = Object.keys(partition).flatMap((name) => without(partition, name));
  let text = "";
  for (const status of [...statuses, ...partitions.map((one) => ({ ...now, partitions: [one] }))]) {
    show(status);
    text += document.querySelector("#page").innerText + document.title;
  }
  return [statuses.length, partitions.length, text];
}
"""


async def test_a_status_without_any_of_its_fields_is_shown_as_far_as_it_goes(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, chromium() as browser:
        service = await stage.start({"WINDOW__DURATION": "600s"})
        await stage.publish([written(event(7, 1))])
        await service.until_holds(1)
        page = await browser.open(service.url, without=["**/status/stream"])
        await says(page, "owned", at="#partitions")
        page.complaints.clear()

        statuses, partitions, text = await page.view.evaluate(SHOW_WITHOUT_EACH_FIELD)

        assert min(statuses, partitions) > 20
        assert not re.search("undefined|null|NaN", text)
        assert page.complaints == []


async def test_the_token_is_asked_for_once(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage, chromium() as browser:
        service = await stage.launch({"HTTP__TOKEN": TOKEN})
        service.url = (await service.until_logged("started"))["http_url"].rstrip("/")
        page = await browser.open(service.url)
        assert await page.barriers() == []
        await page.view.fill("#token", "a guess")
        await page.view.keyboard.press("Enter")
        await says(page, "That is not the token.", at="[role=alert]")
        await page.view.fill("#token", TOKEN)
        await page.view.keyboard.press("Enter")
        await says(page, "live", at="#live")
        assert page.view.url == f"{service.url}/"
        await page.view.reload()
        await says(page, "live", at="#live")
        await _never_told(service)


async def _never_told(service: Instance) -> None:
    assert TOKEN not in service.log.read_text("utf-8")
    assert (await service.get("/status")).status_code == 401
    assert (await service.get("/metrics")).status_code == 200

"""Five troubles of a running service, one after the other: the page names the causes that all others name, and their end."""

from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.deploy.chromium import OpenPage, chromium
from tests.service.harness import Instance
from tests.service.troubles import VOICES, Truth, five_troubles, scene_on

UNHEARD_OF = "a cause that /status does not name"


class PageVoice:
    """Reads the page as a person does: the colour of the verdict, and the list of causes."""

    def __init__(self, page: OpenPage) -> None:
        self._page = page

    async def __call__(self, service: Instance) -> Truth:
        view = self._page.view
        if view.url == "about:blank":
            await view.goto(service.url)
        _, grade = ((await view.locator("#verdict").get_attribute("class")) or "verdict ?").split()
        lines = await view.locator("#causes li").all_inner_texts()
        named = {one["sentence"]: one["cause"] for one in (await service.status())["verdict"]["causes"]}
        found = [next((cause for words, cause in named.items() if words in line), UNHEARD_OF) for line in lines]
        return Truth.told(grade, found)


async def test_the_page_tells_the_same_truth_as_everybody_else(breakable: ApacheKafka, tmp_path: Path) -> None:
    async with chromium() as browser, scene_on(breakable, tmp_path) as scene:
        page = await browser.open("about:blank")
        scene.voices = (*VOICES, PageVoice(page))
        await five_troubles(scene, breakable)
        assert page.complaints == []

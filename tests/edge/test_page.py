"""Promises about the operations page: self-contained, readable by everybody, about the status as it is."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import get_args

import pytest

from consumer.edge.page_files import operations_page
from consumer.service.status_shape import AccessState, PartitionState, ServiceStatus
from tests.edge.support import status

PAGE = operations_page().body.decode()
SCRIPT = re.findall(r"<script>(.*?)</script>", PAGE, flags=re.DOTALL)[0]


class Elements(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(PAGE)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


ELEMENTS = Elements().found
IDS = [attributes["id"] for _, attributes in ELEMENTS if "id" in attributes]


def test_the_page_asks_nobody_but_the_service() -> None:
    for tag, attributes in ELEMENTS:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            address = attributes.get(name)
            assert address in {None, "data:,", "status", "metrics", "healthz", "readyz"}, (tag, address)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", PAGE.replace("// ", ""))
    assert re.findall(r"fetch\((.*?),", SCRIPT) == ['"status"']


def test_a_browser_runs_nothing_that_the_page_did_not_bring_along() -> None:
    policy = operations_page().policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode() in policy
    assert not [attributes for _, attributes in ELEMENTS if any(name.startswith("on") for name in attributes)]
    assert not [attributes for _, attributes in ELEMENTS if "style" in attributes], "the policy would drop it"
    assert "innerHTML" not in SCRIPT, "what the status holds is text, never markup"


def test_the_page_has_the_bones_that_screen_readers_go_by() -> None:
    tags = [tag for tag, _ in ELEMENTS]
    assert ("html", {"lang": "en"}) in ELEMENTS
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    for tag, attributes in ELEMENTS:
        if tag == "th":
            assert attributes.get("scope") == "col"
        if tag == "section":
            assert attributes.get("aria-labelledby") in IDS
    assert len(IDS) == len(set(IDS))
    assert any(attributes.get("role") == "status" for _, attributes in ELEMENTS), "changes are spoken"


def test_states_are_told_in_words_and_signs_not_by_colour_alone() -> None:
    assert 'SIGNS = { good: "✓", warn: "!", bad: "✕" }' in SCRIPT
    assert "${SIGNS[grade]} ${words}" in SCRIPT


def test_everything_the_script_writes_to_is_there() -> None:
    written = {*re.findall(r'\bat\("(.*?)"\)', SCRIPT), *re.findall(r'\blist\("(.*?)"', SCRIPT)}
    assert len(written) >= 9
    assert written <= set(IDS)


@pytest.mark.parametrize("part", ["sends", "access", "buffer", "limits", "deduplication", "holds"])
def test_everything_the_page_shows_is_in_the_status(part: str) -> None:
    now = status()
    shown = set(re.findall(r"\bnow\.(\w+)", SCRIPT))
    assert shown <= ServiceStatus.__required_keys__
    inside = set(re.findall(rf"\bnow\.{part}\.(\w+)", SCRIPT))
    assert inside
    assert inside == now[part].keys()  # type: ignore[literal-required]
    assert set(re.findall(r"\bpartition\.(\w+)", SCRIPT)) <= now["partitions"][0].keys()


def test_every_state_has_a_grade() -> None:
    grades = re.findall(r"PARTITION_GRADES = \{(.*?)\}", SCRIPT)[0]
    assert set(re.findall(r"(\w+):", grades)) == set(get_args(PartitionState))
    words = re.findall(r"ACCESS_WORDS = \{(.*?)\n\};", SCRIPT, flags=re.DOTALL)[0]
    assert set(re.findall(r"^  (\w+):", words, flags=re.MULTILINE)) == set(get_args(AccessState))

"""Promises about the operations page: self-contained, readable by everybody, about the status as it is."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import get_args

import pytest

from consumer.edge.page_files import SCRIPTS, operations_page, token_page
from consumer.service.facts import AnswerClass
from consumer.service.status_shape import AccessState, LagPart, PartitionState, ServiceStatus
from consumer.service.waiting_shape import WaitingWhy
from tests.edge.support import partition_status, status

PAGE = operations_page().body.decode()
SCRIPT = re.findall(r"<script>(.*?)</script>", PAGE, flags=re.DOTALL)[0]
STYLE = re.findall(r"<style>(.*?)</style>", PAGE, flags=re.DOTALL)[0]
ADDRESSES = {"data:,", "status", "sends", "metrics", "healthz", "readyz"}


class Elements(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


ELEMENTS = Elements(PAGE).found
IDS = [attributes["id"] for _, attributes in ELEMENTS if "id" in attributes]


def test_the_page_asks_nobody_but_the_service() -> None:
    for tag, attributes in ELEMENTS:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert attributes.get(name) in {None, *ADDRESSES}, (tag, attributes)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub("http://www.w3.org/2000/svg", "", PAGE))
    assert re.findall(r"fetch\(([^,]*),", SCRIPT) == ["`sends${query}`", '"status"']
    assert re.findall(r"new EventSource\((.*?)\)", SCRIPT) == ['"status/stream"']
    assert not re.search(r"XMLHttpRequest|WebSocket|sendBeacon|import\(|\.open\(|localStorage", SCRIPT)


def test_a_browser_runs_nothing_that_the_page_did_not_bring_along() -> None:
    policy = operations_page().policy
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert "unsafe" not in policy
    for kind, text in (("script", SCRIPT), ("style", STYLE)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    for document in (PAGE, token_page().body.decode()):
        elements = Elements(document).found
        assert not [attributes for _, attributes in elements if any(name.startswith("on") for name in attributes)]
        assert not [attributes for _, attributes in elements if "style" in attributes], "the policy would drop it"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", SCRIPT)


def test_the_page_is_one_document_of_all_its_files_and_nothing_of_it_is_left_out() -> None:
    assert "/* style */" not in PAGE
    assert "/* script */" not in PAGE
    assert SCRIPT.startswith('"use strict"')
    assert len(SCRIPTS) == 5
    assert "<!-- said -->" not in token_page().body.decode()


def test_the_page_has_the_bones_that_screen_readers_go_by() -> None:
    tags = [tag for tag, _ in ELEMENTS]
    assert ("html", {"lang": "en"}) in ELEMENTS
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    for tag, attributes in ELEMENTS:
        if tag == "th":
            assert attributes.get("scope") == "col"
        if tag == "section":
            assert attributes.get("aria-labelledby") in IDS
        if tag in {"input", "select"}:
            assert f'for="{attributes["id"]}"' in PAGE
    assert len(IDS) == len(set(IDS))
    assert [attributes["id"] for _, attributes in ELEMENTS if attributes.get("role") == "status"] == ["spoken"]


def test_motion_colours_and_narrow_screens_are_as_the_reader_asks() -> None:
    outside = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", "", STYLE, flags=re.DOTALL)
    assert "transition" in STYLE
    assert not re.search("transition|animation", outside)
    assert "@media (prefers-color-scheme: dark)" in STYLE
    assert "max-width: 44rem" in STYLE


def test_states_are_told_in_words_and_signs_not_by_colour_alone() -> None:
    assert 'SIGNS = { good: "✓", warn: "!", bad: "✕" }' in SCRIPT
    assert '${SIGNS[grade] || ""} ${text}' in SCRIPT


def test_everything_the_script_writes_to_is_there() -> None:
    written = {*re.findall(r'\bat\("(.*?)"\)', SCRIPT), *re.findall(r'\b(?:pairs|rows)\(\s*"(.*?)"', SCRIPT)}
    assert len(written) >= 20
    assert written <= set(IDS)


def test_everything_in_the_status_is_shown_and_nothing_else_is_asked_for() -> None:
    shown = set(re.findall(r"\bnow\.(\w+)", SCRIPT))
    assert shown == ServiceStatus.__required_keys__


@pytest.mark.parametrize("part", ["access", "sends", "limits", "breaker", "buffer", "deduplication", "ages", "totals"])
def test_every_field_of_a_part_is_shown(part: str) -> None:
    for field in status()[part]:  # type: ignore[literal-required]
        assert re.search(rf"\b{field}\b", SCRIPT), (part, field)


def test_every_field_of_a_partition_is_shown() -> None:
    for field in partition_status(0):
        assert re.search(rf"\bpartition\.{field}\b", SCRIPT), field


def test_every_state_has_a_grade() -> None:
    for name, states in (
        ("PARTITION_GRADES", get_args(PartitionState)),
        ("ACCESS_WORDS", get_args(AccessState)),
        ("ANSWER_GRADES", [answer.value for answer in AnswerClass]),
        ("WHY_WORDS", get_args(WaitingWhy)),
    ):
        table = re.findall(rf"{name} = \{{(.*?)\}};", SCRIPT, flags=re.DOTALL)[0]
        assert set(re.findall(r"(\w+): [\[\"]", table)) == set(states), name


def test_the_parts_of_the_lag_are_drawn_in_their_order_each_in_a_colour_of_its_own() -> None:
    assert re.findall(r"PARTS = \[(.*?)\]", SCRIPT)[0].replace('"', "").split(", ") == list(get_args(LagPart))
    for theme in STYLE.split("@media (prefers-color-scheme: dark)")[:2]:
        colours = [re.findall(rf"--{part}: (#\w+);", theme)[0] for part in get_args(LagPart)]
        assert len(set(colours)) == len(colours)


def test_a_field_that_is_null_or_not_there_yet_is_no_reason_to_fail() -> None:
    for field in set(re.findall(r"\bnow\.(\w+)\.", SCRIPT)):
        assert re.search(rf"\(now\.{field} \|\| \{{\}}\)", SCRIPT) or field == "sends", field

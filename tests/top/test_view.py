"""A screen says what the page says, fits the terminal, and survives a service of another version."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumer.top.asking import ServiceStatusJson
from consumer.top.parts import LAG_PARTS, bar
from consumer.top.rates import Rates
from consumer.top.view import EVERYTHING, screen
from tests.edge.support import partition_status, status

NO_RATES = Rates(per_second={}, acceptance={})
SEND = "0198f7c06b7e7cc29d3d2f2f9a7c1234"


def full() -> dict[str, Any]:
    """A status with something in each of its lists."""
    whole: dict[str, Any] = deepcopy(dict(status()))
    whole["modes"] = {"dry_run": False, "test_recipients": 0}
    whole["windows"] = [
        {
            "campaign": "422",
            "priority": "normal",
            "events": 130,
            "max_contacts": 500,
            "bytes": 21_576,
            "age_seconds": 1.7,
            "closes_in_seconds": 0.3,
        }
    ]
    whole["requests"] = [
        {"send_id": SEND, "campaign": "901", "contacts": 500, "attempt": 2, "stage": "posting", "age_seconds": 3.25}
    ]
    return whole


def lines_of(
    shown: ServiceStatusJson, *, width: int = 80, height: int = EVERYTHING, rates: Rates = NO_RATES, **more: Any
) -> list[str]:
    console = Console(file=StringIO(), width=width, height=60, force_terminal=False, color_system=None)
    console.print(screen(shown, rates, width=width, height=height, is_plain=False, **more))
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def words_of(shown: ServiceStatusJson, **more: Any) -> str:
    return " ".join(" ".join(lines_of(shown, **more)).split())


def test_the_verdict_comes_first_with_its_causes_and_what_the_page_says_follows() -> None:
    said = words_of(full(), width=120)
    facts = [
        "WARN sending; campaign 421 is held by operators since 15:40:19, 3 events wait",
        "holds: campaign 421 is held by operators (wrong template) RUNBOOK.md: CampaignHoldOld",
        "lag 10, 4.5 s behind urgent topics 1.5 s late queued for 2.5 s in_flight for 0.1 s settling for 0.2 s parked for 75 s",
        "unread 4 ▓ queued 2 █ in flight 2 ▄ settling 2",
        "requests 7 of 24 sends queued 2 buffer 6 of 100,000 events parked 40,000",
        "contact-events:0 owned 5 4.5 s ░░░░░░░░▓▓▓▓████▄▄▄▄",
        "421 2 900 2.5 s slot",
        "421 wait anna 2026-11-24T15:40:19.000Z wrong template",
        "422 normal 130 500 21,576 1.7 s 0.3 s",
        f"{SEND} 901 500 2 posting 3.2 s",
        "15:40:20 421 12 not_delivered 503 0198f7c0 try later",
    ]
    places = [said.find(fact) for fact in facts]
    assert -1 not in places, facts[places.index(-1)] + "\n" + said
    assert places == sorted(places)


def test_rates_are_told_by_the_second_and_quantiles_by_priority() -> None:
    rates = Rates(
        per_second={"records_read": 1_234.4, "requests": 2.25, "contacts_accepted": 0.0},
        acceptance={"normal": {0.5: 0.5, 0.99: 5.0}, "immediate": {0.5: 0.01, 0.99: float("inf")}},
    )
    said = words_of(full(), rates=rates)
    assert "read 1,234/s requests 2.2/s texts 0/s results ?/s" in said
    assert "normal accepted: 50% within 0.5 s, 99% within 5 s" in said
    assert "immediate accepted: 50% within 0.01 s, 99% within longer than is measured" in said
    lines = lines_of(full(), rates=rates)
    assert "immediate accepted: 50% within 0.01 s, 99% within longer than is measured" in lines, "no fact is broken"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = full()
    long["verdict"]["causes"][0]["sentence"] = "a sentence that goes on " * 20
    long["partitions"][0]["topic"] = "a-topic-" * 20
    assert max(map(len, lines_of(long, width=width))) <= width


def test_a_rehearsal_is_shown_before_anything_else() -> None:
    lines = lines_of(full() | {"modes": {"dry_run": True, "test_recipients": 3}})
    banners = [
        "DRY RUN: no request is made, nobody is texted",
        "TEST RECIPIENTS: nobody is texted but the 3 on the list",
    ]
    verdict = next(number for number, line in enumerate(lines) if line.startswith("WARN"))
    assert [line.strip() for line in lines[verdict - 2 : verdict]] == banners
    assert not [line for line in lines_of(full()) if "DRY RUN" in line or "TEST RECIPIENTS" in line]


@pytest.mark.parametrize("height", [10, 24, 40])
def test_what_is_shown_fits_the_terminals_height_and_every_list_has_its_share(height: int) -> None:
    crowded = full()
    crowded["partitions"] = [partition_status(number) for number in range(64)]
    for name in ("waiting", "windows", "requests", "failures"):
        crowded[name] = crowded[name] * 20
    lines = lines_of(crowded, height=height)
    assert len(lines) <= height
    titles = ["partitions", "waits longest", "held by", "open windows", "requests", "last failures"]
    found = [any(line.startswith(title) for line in lines[8:]) for title in titles]
    assert sum(found) >= min(len(titles), (height - 8) // 3)
    if height == 40:
        assert any(line.endswith("of 64") for line in lines)


def test_the_partition_in_trouble_and_the_latest_one_come_first() -> None:
    many = full()
    many["partitions"] = [
        partition_status(0),
        {**partition_status(1), "lag_seconds": 60.0, "urgent": True},
        {**partition_status(2), "state": "stopped", "why": "the journal is lost"},
    ]
    rows = [line for line in lines_of(many) if line.startswith("contact-events:")]
    assert [row.split()[0] for row in rows] == ["contact-events:2", "contact-events:1", "contact-events:0"]
    assert rows[0].endswith("the journal is lost")
    assert [row.split()[1] == "(urgent)" for row in rows] == [False, True, False]


def test_that_nothing_answers_any_more_is_told_above_everything() -> None:
    assert lines_of(full(), trouble="nothing answers")[0] == "nothing answers"


def test_what_comes_from_outside_moves_no_terminal() -> None:
    evil = full()
    evil["failures"][0]["message"] = "\x1b[2J\x07 no"
    evil["holds"]["holds"][0]["reason"] = "[red]\x1b]0;x\x07[/red]"
    said = words_of(evil, width=160)
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\\x1b[2J\\x07 no" in said
    assert "[red]" in said


def without_one(document: Any) -> Iterator[Any]:
    """Every document that lacks one of the fields, or has null there."""
    if isinstance(document, Mapping):
        for name, inner in document.items():
            yield {other: value for other, value in document.items() if other != name}
            yield {**document, name: None}
            yield from ({**document, name: less} for less in without_one(inner))
    elif isinstance(document, list):
        for place, inner in enumerate(document):
            yield from ([*document[:place], less, *document[place + 1 :]] for less in without_one(inner))


def test_a_status_that_lacks_any_of_its_fields_is_shown() -> None:
    documents = list(without_one(full()))
    assert len(documents) > 200
    for document in documents:
        assert lines_of(document)
    assert lines_of({"partitions": []})


@given(st.dictionaries(st.sampled_from(list(LAG_PARTS)), st.integers(0, 10_000)), st.integers(10, 100))
def test_each_part_that_is_not_empty_is_seen_in_a_bar_no_longer_than_its_room(
    parts: dict[str, int], width: int
) -> None:
    drawn = bar(parts, whole=max(sum(parts.values()), 1), width=width, is_plain=True).plain
    assert len(drawn) <= width
    assert set(drawn) == {LAG_PARTS[name].plain for name, count in parts.items() if count}


def test_a_campaign_that_has_nothing_in_hand_has_no_age_there() -> None:
    whole = full()
    whole["waiting"] = [{**whole["waiting"][0], "events": 0, "parked": 9_586, "oldest_seconds": None, "why": "parked"}]
    (row,) = [line.split() for line in lines_of(whole, width=120) if line.startswith("421") and "9,586" in line]
    assert row == ["421", "0", "9,586", "parked"]

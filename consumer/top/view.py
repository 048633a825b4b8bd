"""One screen of a service's status: verdict and causes, rates, what lag consists of, and as many rows as fit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumer.top.asking import ServiceStatusJson
from consumer.top.parts import bar, legend
from consumer.top.rates import Rates
from consumer.top.sections import TopSection, number, sections_of, span, word

GRADE_STYLES: Final = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}
MODE_STYLE: Final = "bold white on magenta"
CAUSES_SHOWN: Final = 5
MEMBER_CHARACTERS: Final = 16
SEPARATOR: Final = "   "
RATE_WORDS: Final = {"records_read": "read", "requests": "requests", "contacts_accepted": "texts", "results": "results"}
FRAME_ROWS: Final = 2
"""Of a section: an empty line and its columns' names."""
EVERYTHING: Final = 10_000
"""Rows that a screen without end has."""


def screen(
    status: ServiceStatusJson, rates: Rates, *, width: int, height: int, is_plain: bool, trouble: str | None = None
) -> RenderableType:
    """Return what is shown. `trouble` says why it is not of now, if it is not."""
    lines = list(_head(status, rates, width=width, is_plain=is_plain))
    if trouble is not None:
        lines.insert(0, Text(trouble, style="bold white on red"))
    used = sum(max(1, -(-line.cell_len // width)) for line in lines)
    sections = sections_of(status, is_plain=is_plain)
    shown = _shares([len(section.rows) for section in sections], height - used)
    tables = [_table(section, rows) for section, rows in zip(sections, shown, strict=True) if rows]
    return Group(*lines, *tables)


# ---------------------------------------------------------------- head


def _head(status: ServiceStatusJson, rates: Rates, *, width: int, is_plain: bool) -> Iterator[Text]:
    group = word(status.get("group"))
    member = word(status.get("member")).removeprefix(f"{group}-")[:MEMBER_CHARACTERS]
    told = [group, member, f"version {word(status.get('version'))}", f"up {span(status.get('uptime_seconds'))}"]
    yield from _packed([*told, word(status.get("state"))], width, style="dim")
    yield from _modes(status.get("modes") or {})
    yield from _verdict(status.get("verdict") or {})
    yield from _packed(_lag(status), width)
    parts = {name: count for name, count in (status.get("lag_parts") or {}).items() if count}
    if parts:
        yield bar(parts, whole=sum(parts.values()), width=width, is_plain=is_plain)
        yield legend(parts, is_plain=is_plain)
    yield from _packed(_speeds(rates), width)
    yield from _packed(_bounds(status), width)


def _modes(modes: Mapping[str, Any]) -> Iterator[Text]:
    if modes.get("dry_run"):
        yield Text(" DRY RUN: no request is made, nobody is texted ", style=MODE_STYLE)
    if recipients := modes.get("test_recipients"):
        yield Text(f" TEST RECIPIENTS: nobody is texted but the {number(recipients)} on the list ", style=MODE_STYLE)


def _packed(told: Iterable[str], width: int, *, style: str = "") -> Iterator[Text]:
    """Yield lines that hold as many of these as fit, none of them broken."""
    line = ""
    for one in told:
        if line and len(line) + len(SEPARATOR) + len(one) > width:
            yield Text(line, style=style)
            line = ""
        line += (SEPARATOR if line else "") + one
    if line:
        yield Text(line, style=style)


def _verdict(verdict: Mapping[str, Any]) -> Iterator[Text]:
    grade = str(verdict.get("grade"))
    yield Text(
        f"{word(verdict.get('grade')).upper()}  {word(verdict.get('sentence'))}", style=GRADE_STYLES.get(grade, "")
    )
    causes = [one for one in verdict.get("causes") or () if isinstance(one, dict)]
    for one in causes[:CAUSES_SHOWN]:
        line = Text(f"  {word(one.get('cause'))}: ", style=GRADE_STYLES.get(str(one.get("grade")), ""))
        line.append(word(one.get("sentence")), style="default not bold")
        if one.get("runbook"):
            line.append(f"  RUNBOOK.md: {word(one['runbook'])}", style="dim not bold")
        yield line
    if len(causes) > CAUSES_SHOWN:
        yield Text(f"  and {len(causes) - CAUSES_SHOWN} more causes", style="dim")


def _lag(status: ServiceStatusJson) -> Iterator[str]:
    behind = status.get("lag_seconds")
    yield f"lag {number(status.get('lag'))}" + (f", {span(behind)} behind" if behind else "")
    if urgent_late := status.get("urgent_late_seconds"):
        yield f"urgent topics {span(urgent_late)} late"
    for stage, age in (status.get("oldest") or {}).items():
        if age is not None:
            yield f"{word(stage)} for {span(age)}"
    if parked := (status.get("ages") or {}).get("parked"):
        yield f"parked for {span(parked)}"


def _speeds(rates: Rates) -> Iterator[str]:
    for name, words in RATE_WORDS.items():
        yield f"{words} {_rate(rates.per_second.get(name))}"
    for priority, shares in rates.acceptance.items():
        quantiles = ", ".join(f"{share:.0%} within {_bound(bound)}" for share, bound in shares.items())
        yield f"{priority} accepted: {quantiles}"


def _rate(per_second: float | None) -> str:
    if per_second is None:
        return "?/s"
    return f"{per_second:,.1f}/s" if 0 < per_second < 10 else f"{per_second:,.0f}/s"  # noqa: PLR2004 - a tenth tells


def _bound(seconds: float) -> str:
    return "longer than is measured" if seconds == float("inf") else f"{seconds:g} s"


def _bounds(status: ServiceStatusJson) -> Iterator[str]:
    sends, limits, buffer = (status.get(name) or {} for name in ("sends", "limits", "buffer"))
    at_most = limits.get("concurrency") or limits.get("max_concurrency")
    yield f"requests {number(sends.get('in_flight'))} of {number(at_most)}"
    yield f"sends queued {number(sends.get('queued'))}"
    yield f"buffer {number(buffer.get('events'))} of {number(buffer.get('max_events'))} events"
    if parked := buffer.get("parked"):
        yield f"parked {number(parked)}"
    breaker = (status.get("breaker") or {}).get("state")
    if breaker not in {None, "closed"}:
        yield f"breaker {word(breaker)}"


# ---------------------------------------------------------------- lists


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many rows each section has: a row in turn, those further up first, with its frame before its first."""
    shares = [0] * len(wanted)
    while True:
        before = room
        for number_, rows in enumerate(wanted):
            cost = 1 if shares[number_] else 1 + FRAME_ROWS
            if shares[number_] < rows and cost <= room:
                shares[number_] += 1
                room -= cost
        if room == before:
            return shares


def _table(section: TopSection, rows: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", expand=False)
    of = "" if rows == section.total else f" {rows} of {section.total}"
    for name in section.columns:
        is_number, gives_way = name.startswith(">"), name.startswith("*")
        table.add_column(
            name.lstrip(">*"),
            justify="right" if is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=None if gives_way else len(name.lstrip(">*")),
        )
    for row in section.rows[:rows]:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    table.title = Text(f"{section.title}{of}")
    table.title_justify = "left"
    table.title_style = "bold underline"
    return table

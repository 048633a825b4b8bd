"""The lists of a status as rows of tables. Survives fields that another version leaves out; knows no terminal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from consumer.edge.telemetry.log import printable
from consumer.service.verdict import span_of
from consumer.top.asking import ServiceStatusJson
from consumer.top.parts import bar

UNKNOWN: Final = "?"
BAR_WIDTH: Final = 20

Row = Sequence[str | Text]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopSection:
    """A list with a title; of its rows the first are the most important."""

    title: str
    columns: Sequence[str]
    """A name that begins with `>` is of a column of numbers, one with `*` of the column that gives way."""
    rows: Sequence[Row]
    total: int
    """How many there are in all, where the status names only some."""


def sections_of(status: ServiceStatusJson, *, is_plain: bool) -> list[TopSection]:
    """Return the lists that are not empty."""
    made = (_partitions(status, is_plain=is_plain), *(_listed(status, one) for one in LISTS))
    return [section for section in made if section.rows]


def _partitions(status: ServiceStatusJson, *, is_plain: bool) -> TopSection:
    partitions = list(_rows_of(status, "partitions"))
    most = max((one.get("lag") or 0 for one in partitions), default=0)
    partitions.sort(key=lambda one: (one.get("state") == "owned", -(one.get("lag_seconds") or 0.0)))
    rows: list[Row] = []
    for one in partitions:
        drawn = bar(one.get("lag_parts"), whole=most, width=BAR_WIDTH, is_plain=is_plain)
        why = one.get("why")
        rows.append(
            (
                f"{word(one.get('topic'))}:{word(one.get('partition'))}{' (urgent)' if one.get('urgent') else ''}",
                Text(word(one.get("state")), style="" if one.get("state") == "owned" else "red"),
                number(one.get("lag")),
                span(one.get("lag_seconds")),
                drawn if not why else Text(word(why)),
            )
        )
    return TopSection(
        title="partitions",
        columns=("*partition", "state", ">lag", ">behind", "lag by part"),
        rows=rows,
        total=len(rows),
    )


Cell = Callable[[Mapping[str, Any]], str]
"""Reads one cell out of what the status says of a row."""


def _word(name: str) -> Cell:
    return lambda one: word(one.get(name))


def _number(name: str) -> Cell:
    return lambda one: number(one.get(name))


def _span(name: str) -> Cell:
    return lambda one: span(one.get(name))


def _next_try(one: Mapping[str, Any]) -> str:
    return "" if one.get("next_try_in_seconds") is None else span(one["next_try_in_seconds"])


def _answer(one: Mapping[str, Any]) -> str:
    return word(one.get("answer")) + (f" {one['status']}" if one.get("status") is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopList:
    """A list of the status, and how it is shown."""

    title: str
    path: Sequence[str]
    columns: Mapping[str, Cell]
    """By their names, in order."""


LISTS: Final = (
    TopList(
        title="waits longest",
        path=("waiting",),
        columns={
            "*campaign": _word("campaign"),
            ">events": _number("events"),
            ">parked": lambda one: "" if not one.get("parked") else number(one["parked"]),
            ">oldest": lambda one: (
                "" if one.get("oldest_seconds", 0.0) is None else span(one.get("oldest_seconds", UNKNOWN))
            ),
            "for": _word("why"),
            ">next try": _next_try,
        },
    ),
    TopList(
        title="held by operators",
        path=("holds", "holds"),
        columns={
            "campaign": lambda one: "everything" if one.get("campaignId") is None else word(one["campaignId"]),
            "events": lambda one: "rejected" if one.get("reject") else "wait",
            "by": _word("operator"),
            "since": _word("since"),
            "*reason": _word("reason"),
        },
    ),
    TopList(
        title="open windows",
        path=("windows",),
        columns={
            "*campaign": _word("campaign"),
            "priority": _word("priority"),
            ">events": _number("events"),
            ">of": _number("max_contacts"),
            ">bytes": _number("bytes"),
            ">age": _span("age_seconds"),
            ">closes in": _span("closes_in_seconds"),
        },
    ),
    TopList(
        title="requests",
        path=("requests",),
        columns={
            "*send": _word("send_id"),
            "campaign": _word("campaign"),
            ">contacts": _number("contacts"),
            ">attempt": _number("attempt"),
            "stage": _word("stage"),
            ">age": _span("age_seconds"),
        },
    ),
    TopList(
        title="last failures",
        path=("failures",),
        columns={
            "at": lambda one: word(one.get("at"))[11:19],
            "campaign": _word("campaign"),
            ">contacts": _number("contacts"),
            "answer": _answer,
            "send": lambda one: word(one.get("send_id"))[:8],
            "*words": lambda one: word(one.get("message") or ""),
        },
    ),
)


def _listed(status: Mapping[str, Any], of: TopList) -> TopSection:
    for name in of.path[:-1]:
        status = status.get(name) or {}
    rows = [[cell(one) for cell in of.columns.values()] for one in _rows_of(status, of.path[-1])]
    return TopSection(title=of.title, columns=tuple(of.columns), rows=rows, total=len(rows))


def _rows_of(status: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    return (one for one in status.get(name) or () if isinstance(one, dict))


def word(value: object) -> str:
    """Return a value as text: nothing in it moves the terminal."""
    return UNKNOWN if value is None else printable(str(value))


def number(value: object) -> str:
    """Return a count."""
    return f"{value:,.0f}" if isinstance(value, (int, float)) else UNKNOWN


def span(value: object) -> str:
    """Return a time in seconds."""
    if not isinstance(value, (int, float)):
        return UNKNOWN
    if 0 < value < 0.095:  # noqa: PLR2004 - tenths would say nothing
        return f"{max(1.0, value * 1000):.0f} ms"
    return f"{value:.1f} s" if 0 < value < 10 else span_of(value)  # noqa: PLR2004 - tenths tell something below that

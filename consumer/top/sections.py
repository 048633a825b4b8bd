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
    made = (
        _partitions(status, is_plain=is_plain),
        _waiting(status),
        _holds(status),
        _windows(status),
        _requests(status),
        _failures(status),
    )
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


def _waiting(status: ServiceStatusJson) -> TopSection:
    return _listed(
        status,
        "waiting",
        "waits longest",
        ("*campaign", ">events", ">oldest", "for", ">next try"),
        lambda one: (
            word(one.get("campaign")),
            number(one.get("events")),
            span(one.get("oldest_seconds")),
            word(one.get("why")),
            "" if one.get("next_try_in_seconds") is None else span(one["next_try_in_seconds"]),
        ),
    )


def _holds(status: ServiceStatusJson) -> TopSection:
    holds = status.get("holds") or {}
    return _listed(
        holds,
        "holds",
        "held by operators",
        ("campaign", "events", "by", "since", "*reason"),
        lambda one: (
            "everything" if one.get("campaignId") is None else word(one["campaignId"]),
            "rejected" if one.get("reject") else "wait",
            word(one.get("operator")),
            word(one.get("since")),
            word(one.get("reason")),
        ),
    )


def _windows(status: ServiceStatusJson) -> TopSection:
    return _listed(
        status,
        "windows",
        "open windows",
        ("*campaign", "priority", ">events", ">of", ">bytes", ">age", ">closes in"),
        lambda one: (
            word(one.get("campaign")),
            word(one.get("priority")),
            number(one.get("events")),
            number(one.get("max_contacts")),
            number(one.get("bytes")),
            span(one.get("age_seconds")),
            span(one.get("closes_in_seconds")),
        ),
    )


def _requests(status: ServiceStatusJson) -> TopSection:
    return _listed(
        status,
        "requests",
        "requests",
        ("*send", "campaign", ">contacts", ">attempt", "stage", ">age"),
        lambda one: (
            word(one.get("send_id")),
            word(one.get("campaign")),
            number(one.get("contacts")),
            number(one.get("attempt")),
            word(one.get("stage")),
            span(one.get("age_seconds")),
        ),
    )


def _failures(status: ServiceStatusJson) -> TopSection:
    return _listed(
        status,
        "failures",
        "last failures",
        ("at", "campaign", ">contacts", "answer", "send", "*words"),
        lambda one: (
            word(one.get("at"))[11:19],
            word(one.get("campaign")),
            number(one.get("contacts")),
            word(one.get("answer")) + (f" {one['status']}" if one.get("status") is not None else ""),
            word(one.get("send_id"))[:8],
            word(one.get("message") or ""),
        ),
    )


def _listed(
    status: Mapping[str, Any], name: str, title: str, columns: Sequence[str], row: Callable[[Mapping[str, Any]], Row]
) -> TopSection:
    rows = [row(one) for one in _rows_of(status, name)]
    return TopSection(title=title, columns=columns, rows=rows, total=len(rows))


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

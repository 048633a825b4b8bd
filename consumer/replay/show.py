"""A plan as people read it: a table by campaign, warnings, what it takes, and what to type next. Decides nothing."""

import math
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from consumer.replay.document import Counts, Plan

CAMPAIGNS_SHOWN: Final = 20
"""Those with the most to be sent; all of them are in the JSON."""

COLUMNS: Final = {
    "selected": "selected",
    "already\naccepted": "already_accepted",
    "in doubt": "in_doubt",
    "unsettled": "unsettled",
    "expired": "expired",
    "repeated": "repeated",
    "invalid": "invalid",
    "excluded": "excluded",
    "would\nsend": "would_send",
    "people": "people",
    "second\ntexts": "second_texts",
}
ALWAYS: Final = frozenset({"selected", "already_accepted", "would_send", "people", "second_texts"})
"""The other columns are there where something stands in them."""
MINUTE, HOUR = 60, 3_600


def show(console: Console, plan: Plan, *, saved_as: str | None) -> None:
    """Print the plan; `saved_as` is the file that holds it."""
    console.print(_table(plan))
    more = len(plan.campaigns) - CAMPAIGNS_SHOWN
    if more > 0:
        console.print(f"... and {more:,} more campaigns (--json has them)", highlight=False)
    for warning in plan.warnings:
        console.print(f"! {warning}", markup=False, highlight=False, style="yellow", soft_wrap=True)
    for line in (*_summary(plan), *_next(plan, saved_as)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(plan: Plan) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_footer=len(plan.campaigns) > 1)
    table.add_column("campaign", footer="total", no_wrap=True)
    columns = {head: name for head, name in COLUMNS.items() if name in ALWAYS or getattr(plan.counts, name)}
    for head, name in columns.items():
        table.add_column(head, justify="right", footer=f"{getattr(plan.counts, name):,}", no_wrap=True)
    largest = sorted(plan.campaigns, key=lambda one: -one.would_send)[:CAMPAIGNS_SHOWN]
    for campaign in largest:
        table.add_row(
            "unknown" if campaign.campaign_id is None else str(campaign.campaign_id), *_cells(campaign, columns)
        )
    if not plan.campaigns:
        table.add_row("none", *_cells(plan.counts, columns))
    return table


def _cells(counts: Counts, columns: Mapping[str, str]) -> Iterator[str]:
    return (f"{getattr(counts, name):,}" for name in columns.values())


def _summary(plan: Plan) -> Iterator[str]:
    counts, cost = plan.counts, plan.cost
    if not counts.would_send:
        yield "Nothing would be sent."
        return
    second = f", {counts.second_texts:,} of them a second text of the campaign" if counts.second_texts else ""
    yield f"Would send {_many(counts.would_send, 'text')} to {_many(counts.people, 'person', 'people')}{second}."
    publishing = (
        "as fast as the brokers take them"
        if cost.publishing_seconds is None or cost.rate is None
        else f"{duration(cost.publishing_seconds)} at {cost.rate:g} records/s"
    )
    sending = (
        "no limit by time is set" if cost.sending_seconds is None else f"{duration(cost.sending_seconds)} at its limits"
    )
    yield f"Publishing: {publishing}. The service: at least {_many(cost.requests, 'request')}, {sending}."
    yield f"Digest {plan.digest}"
    yield f"Resend ID {plan.resend_id}"


def _next(plan: Plan, saved_as: str | None) -> Iterator[str]:
    if not plan.counts.would_send:
        return
    if saved_as is None:
        yield "Nothing is saved. Next: the same command with --output plan.json"
        return
    rate = "" if plan.cost.rate is None else f" --rate {plan.cost.rate:g}"
    reason = ' --reason "..."' if plan.needs_reason else ""
    yield f"Next: campaign-consumer replay run {quote(saved_as)}{rate}{reason}"


def _many(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 2 * MINUTE:
        return f"{math.ceil(seconds)} s"
    if seconds < 2 * HOUR:
        return f"{math.ceil(seconds / MINUTE)} min"
    return f"{seconds / HOUR:.1f} h"

"""Where a resend stands, as a table for people: campaigns by status, what is pending, and how fast it goes. Reads nothing."""

import math
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from consumer.replay.book import STATUSES
from consumer.replay.show import duration
from consumer.replay.status import ResendStanding

CAMPAIGNS_SHOWN: Final = 20
"""Those with the most records; all of them count in the total."""


def shown(standing: ResendStanding, per_second: float | None, *, planned: int | None) -> Group:
    """Return what is shown; `per_second` are outcomes, None where that is not known yet, `planned` the plan's records."""
    said = [_summary(standing.records, standing.pending, per_second)]
    if planned is not None and 0 < standing.records < planned:
        said.append(
            f"{planned - standing.records:,} of the plan's {planned:,} records are not published: left out, or a run has "
            "not come so far; campaign-consumer replay run says which"
        )
    return Group(Text(standing.resend_id), _table(standing), *map(Text, said))


def _table(standing: ResendStanding) -> Table:
    results, records, pending = standing.results, standing.records, standing.pending
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_footer=len(standing.by_campaign()) > 1)
    table.add_column("campaign", footer="total", no_wrap=True)
    table.add_column("records", justify="right", footer=f"{records:,}")
    for status in results:
        table.add_column(status, justify="right", footer=f"{results[status]:,}")
    table.add_column("pending", justify="right", footer=f"{pending:,}")
    campaigns = standing.by_campaign()
    largest = sorted(campaigns, key=lambda one: -sum(campaigns[one].values()))
    for campaign in largest[:CAMPAIGNS_SHOWN]:
        counts = campaigns[campaign]
        cells = [sum(counts.values()), *(counts.get(status, 0) for status in results), counts.get(STATUSES[0], 0)]
        table.add_row("unknown" if campaign is None else str(campaign), *(f"{cell:,}" for cell in cells))
    if len(largest) > CAMPAIGNS_SHOWN:
        table.add_row(f"{len(largest) - CAMPAIGNS_SHOWN:,} more")
    return table


def _summary(records: int, pending: int, per_second: float | None) -> str:
    if not records:
        return "nothing of it is published yet: campaign-consumer replay run"
    if not pending:
        return "each of its records has an outcome"
    if per_second is None:
        return f"{pending:,} pending"
    if not per_second:
        return f"{pending:,} pending, none settled in the last seconds"
    left = duration(math.ceil(pending / per_second))
    return f"{pending:,} pending, {per_second:,.1f} outcomes/s, {left} left"

"""Results as lines for people. Shows no phone, and nothing that a terminal would take for a command."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from consumer.core.platform.masking import MASK
from consumer.edge.telemetry.log import printable
from consumer.lookup.results import PublishedResult

COLUMNS: Final = ("COMPLETED", "STATUS", "REASON", "CAMPAIGN", "EVENT", "REFERENCE", "KEY", "RECORD", "WORDS")
NOTHING: Final = "-"
STATUS_COLUMN: Final = 1

_PHONE: Final = re.compile(r"\+[0-9]{7,15}")
"""A key is the upstream's own, and is shown as it is; what can be nothing else than a phone number is not."""


class ResultLines:
    """Lines in columns: each as wide as what was shown in it so far. Nothing is cut."""

    def __init__(self) -> None:
        self._widths = [0] * len(COLUMNS)

    def head(self) -> list[str]:
        """Return the columns' names."""
        return self._line(COLUMNS)

    def lines(self, results: Sequence[PublishedResult]) -> Iterator[list[str]]:
        """Yield a line for each result, as its cells, padded."""
        rows = [_cells(one) for one in results]
        self._widths = [
            max(width, *map(len, cells)) for width, *cells in zip(self._widths, COLUMNS, *rows, strict=True)
        ]
        return (self._line(row) for row in rows)

    def _line(self, cells: Sequence[str]) -> list[str]:
        return [cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)]


def _cells(published: PublishedResult) -> tuple[str, ...]:
    result = published.result
    source = result.source
    words = result.detail or (result.response.message if result.response and result.status != "accepted" else None)
    doubled = "possibleDuplicate" if result.possible_duplicate else None
    return (
        shown(result.completed_at),
        shown(result.status),
        shown(result.reason or doubled),
        NOTHING if result.campaign_id is None else str(result.campaign_id),
        shown(result.event_id),
        shown(result.external_reference),
        shown(None if published.key is None else published.key.decode("utf-8", "backslashreplace")),
        f"{shown(source.topic)}:{source.partition}:{source.offset}",
        shown(words),
    )


def shown(text: str | None) -> str:
    """Return a text on one line; what is not printable is escaped, and a phone number is not shown."""
    if not text:
        return NOTHING
    if _PHONE.fullmatch(text):
        return MASK
    return printable(text)

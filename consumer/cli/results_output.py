"""Writes results to stdout: as JSON Lines, or in columns for people. Finds none."""

import sys
from collections.abc import Sequence
from typing import Final, Protocol

import click

from consumer.lookup.results import PublishedResult
from consumer.lookup.table import STATUS_COLUMN, ResultLines

COLORS: Final = {"accepted": "green", "rejected": "red", "failed": "red", "in_doubt": "magenta", "invalid": "red"}


class ResultsWriter(Protocol):
    """Takes results, some at a time."""

    def write(self, results: Sequence[PublishedResult]) -> None:
        """Write some."""
        ...


class JsonLines:
    """Results as they were published, a line each."""

    def write(self, results: Sequence[PublishedResult]) -> None:
        """Write some."""
        sys.stdout.buffer.writelines(one.value.replace(b"\n", b" ") + b"\n" for one in results)
        sys.stdout.buffer.flush()


class ResultsTable:
    """Lines in columns, with the columns' names above the first of them."""

    def __init__(self) -> None:
        self._columns = ResultLines()
        self._is_begun = False

    def write(self, results: Sequence[PublishedResult]) -> None:
        """Write some."""
        rows = self._columns.lines(results)
        if not self._is_begun:
            click.secho("  ".join(self._columns.head()).rstrip(), bold=True)
            self._is_begun = True
        for cells, one in zip(rows, results, strict=True):
            cells[STATUS_COLUMN] = click.style(cells[STATUS_COLUMN], fg=COLORS.get(one.result.status))
            click.echo("  ".join(cells).rstrip())

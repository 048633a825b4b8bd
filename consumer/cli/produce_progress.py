"""How far `produce` has come: a bar on a terminal, a line every few seconds elsewhere. Writes to stderr alone."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS: Final = 5.0
DRAWN_SECONDS: Final = 0.25


@contextmanager
def repeated(every_seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Call `do` again and again while something else is done."""
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle

    def again() -> None:
        nonlocal handle
        do()
        handle = loop.call_later(every_seconds, again)

    handle = loop.call_later(every_seconds, again)
    try:
        yield
    finally:
        handle.cancel()


@contextmanager
def progress(
    doing: str,
    *,
    done: Callable[[], int],
    total: int | None,
    console: Console,
    line_seconds: float = LINE_SECONDS,
) -> Iterator[None]:
    """Show how much is done, of how much; `total` None: nobody knows."""
    if not console.is_terminal:
        with repeated(line_seconds, _line_of(doing, done, total)):
            yield
        return
    columns = (SpinnerColumn(), TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing, total=total)
        with repeated(DRAWN_SECONDS, lambda: bar.update(task, completed=done())):
            yield


def _line_of(doing: str, done: Callable[[], int], total: int | None) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    started, of = loop.time(), "" if total is None else f" of {total:,}"

    def say() -> None:
        count, seconds = done(), loop.time() - started
        click.echo(f"{doing}: {count:,}{of} in {seconds:.0f} s, {count / seconds:,.0f}/s", err=True)

    return say

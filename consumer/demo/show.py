"""Prints a demo's progress and summary. Counts nothing and decides nothing itself."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from consumer.demo.arithmetic import Account, Delay, FaultKind
from consumer.sandbox.facts import Summary

PLACES_SHOWN = 3
"""The most places listed for each kind of fault."""
NOT_SHARED = frozenset({"CAMPAIGN_HTTP__PORT", "CAMPAIGN_LOG__FORMAT", "CAMPAIGN_KAFKA__SASL_PASSWORD"})
"""Settings of the service that are not printed for other commands: they need their own, or it is a secret."""
PLAIN_STEPS = 5
"""Lines of progress where there is no terminal to draw on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A demo's progress."""

    published: int
    results: int
    texted: int


class Gauge(Protocol):
    """Shows a demo's progress."""

    def show(self, now: Progressed) -> None:
        """Show it."""
        ...


class _Bars:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._published = progress.add_task("published", total=total)
        self._results = progress.add_task("results read", total=total)
        self._texted = progress.add_task("contacts texted", total=None)

    def show(self, now: Progressed) -> None:
        self._progress.update(self._published, completed=now.published)
        self._progress.update(self._results, completed=now.results)
        known = max(now.texted, 1)  # how many it will be is not known before
        self._progress.update(self._texted, completed=now.texted, total=known)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._shown = -1

    def show(self, now: Progressed) -> None:
        step = (now.published + now.results) * PLAIN_STEPS // (2 * self._total)
        if step > self._shown:
            self._shown = step
            self._console.print(
                f"published {now.published:,} of {self._total:,}, results {now.results:,}, texted {now.texted:,}"
            )


@contextmanager
def progress_of(total: int, console: Console) -> Iterator[Gauge]:
    """Yield progress bars on a terminal; elsewhere a line now and then."""
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (TextColumn("{task.description:>16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress, total)


def show_summary(
    console: Console, account: Account, sent: Summary, *, immediate: Delay, normal: Delay, seconds: float
) -> None:
    """Print what became of all records, and whether the totals agree."""
    table = Table(title="What became of it", title_justify="left", show_header=False, min_width=60)
    table.add_column()
    table.add_column(justify="right")
    sends = sent.by_outcome.get("accepted", 0)
    table.add_row("records read", f"{account.records:,}")
    table.add_row("sends posted", f"{sends:,}")
    table.add_row(
        "contacts accepted", f"{sent.accepted:,}" + (f" ({sent.accepted / sends:,.1f} a send)" if sends else "")
    )
    table.add_section()
    for status, count in account.by_status.items():
        table.add_row(f"results: {status}", f"{count:,}")
    if account.results_published_again:
        table.add_row("results published again, the same", f"{account.results_published_again:,}")
    table.add_section()
    table.add_row("event to acceptance, immediate events", _delay(immediate))
    table.add_row("event to acceptance, normal events", _delay(normal))
    table.add_row(
        "from the first event to the last result", f"{seconds:.1f} s, {account.records / seconds:,.0f} records/s"
    )
    console.print(table)
    _show_sums(console, account)


def show_surroundings(
    console: Console, environment: Mapping[str, str], *, port: int, sandbox_url: str, logs: Path
) -> None:
    """Print where everything is and how our other commands reach it."""
    console.print("\nEverything is left running until Ctrl-C:")
    for name, where in (
        ("operations page", f"http://127.0.0.1:{port}/"),
        ("status, as JSON", f"http://127.0.0.1:{port}/status"),
        ("metrics", f"http://127.0.0.1:{port}/metrics"),
        ("what the platform saw", f"{sandbox_url}/sandbox/summary"),
        ("logs", str(logs)),
    ):
        console.print(f"  {name:<22} {where}", highlight=False, soft_wrap=True)
    console.print("The same page in another terminal:")
    console.print(f"  campaign-consumer top --url http://127.0.0.1:{port}", highlight=False, soft_wrap=True)
    console.print("For campaign-consumer produce, results, inspect, check and all others there:")
    for name, value in environment.items():
        if name.startswith("CAMPAIGN_") and name not in NOT_SHARED:
            console.print(f"  export {name}={shlex.quote(value)}", markup=False, highlight=False, soft_wrap=True)


def _show_sums(console: Console, account: Account) -> None:
    even = account.records == account.results
    console.print(_sum_line(even, f"records {account.records:,} = distinct results {account.results:,}"))
    terms = f"contacts texted {account.texted:,} = accepted results {account.accepted:,} + repeats {account.repeats:,}"
    if account.in_doubt_texted:
        terms += f" + texted in doubt {account.in_doubt_texted:,}"
    even = account.texted == account.accepted + account.repeats + account.in_doubt_texted
    console.print(_sum_line(even, terms), soft_wrap=True)
    unmarked = sum(1 for fault in account.faults if fault.kind is FaultKind.UNMARKED_REPEAT)
    marks = f"every repeat is marked ({account.marked:,} results say possibleDuplicate); texted twice unmarked: {unmarked:,}"
    console.print(_sum_line(unmarked == 0, marks), soft_wrap=True)
    for kind, count in Counter(fault.kind for fault in account.faults).most_common():
        places = [fault.where for fault in account.faults if fault.kind is kind][:PLACES_SHOWN]
        console.print(f"  [red]{kind.value}[/]: {count:,}, at {', '.join(places)}", soft_wrap=True)
    if account.holds:
        console.print("[bold green]Nothing was lost, nobody was texted twice unmarked.[/]")
    else:
        console.print("[bold red]It does not add up.[/]")


def _sum_line(holds: object, text: str) -> str:
    return f"{'[green]ok[/]   ' if holds else '[red]wrong[/]'} {text}"


def _delay(delay: Delay) -> str:
    if delay.median_seconds is None or delay.p99_seconds is None:
        return "none accepted"
    return f"median {_seconds(delay.median_seconds)}, p99 {_seconds(delay.p99_seconds)} ({delay.count:,})"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1_000:,.0f} ms" if seconds < 1 else f"{seconds:,.2f} s"

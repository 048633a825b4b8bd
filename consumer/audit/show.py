"""An audit as people read it: a table of partitions, then what was found. Judges nothing."""

from collections import Counter
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from consumer.audit.findings import SAYS, Findings, ViolationKind
from consumer.audit.run import Audit

CASES_SHOWN = 10
"""Of each kind, and of skipped ranges; all of them are in the JSON, up to a bound."""

COLUMNS = ("partition", "from", "to", "committed", "records", "results", "again", "unknown", "pending", "wrong")


def show(console: Console, audit: Audit) -> None:
    """Print the table and the verdict."""
    for topic in dict.fromkeys(findings.topic for findings in audit.partitions):
        table = Table(title=f"{topic}, group {audit.group}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        for findings in audit.partitions:
            if findings.topic == topic:
                table.add_row(*_cells(findings))
        console.print(table, markup=False)
    for line in (*_spans(audit), *_unknown(audit), *_unprovable(audit)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in _violations(audit):
        console.print(line, markup=False, highlight=False, soft_wrap=True, style="red")
    records = sum(findings.records for findings in audit.partitions)
    if audit.proven:
        console.print(f"Proven for {records:,} records.", style="bold green")
    else:
        count = sum(findings.by_kind.total() for findings in audit.partitions)
        console.print(f"Not proven: {count:,} violations among {records:,} records.", style="bold red")


def _cells(findings: Findings) -> Iterator[str]:
    yield f"{findings.partition}"
    yield f"{findings.start:,}"
    yield f"{findings.stop:,}"
    yield "none" if findings.committed is None else f"{findings.committed:,}"
    for count in (
        findings.records,
        findings.results,
        findings.republished,
        findings.unknown_by_status.total(),
        findings.pending,
        findings.by_kind.total(),
    ):
        yield f"{count:,}"


def _spans(audit: Audit) -> Iterator[str]:
    spans = [(findings, span) for findings in audit.partitions for span in findings.spans]
    words = {
        "skipped": "skipped by a forward move of the group",
        "below_accepted_start": "left behind when an operator let the partition start anew",
        "accepted": "may have been sent before an operator let the partition start anew",
    }
    for findings, span in spans[:CASES_SHOWN]:
        yield f"{findings.topic}:{findings.partition}: offsets {span.start}..{span.stop} {words[span.why]}"
    if len(spans) > CASES_SHOWN:
        yield f"... and {len(spans) - CASES_SHOWN:,} more ranges (--json has them)"


def _unknown(audit: Audit) -> Iterator[str]:
    for findings in audit.partitions:
        if findings.unknown:
            offsets = ", ".join(str(one.offset) for one in findings.unknown[:CASES_SHOWN])
            more = findings.unknown_by_status.total() - CASES_SHOWN
            tail = f" and {more:,} more" if more > 0 else ""
            yield f"{findings.topic}:{findings.partition}: unknown how often texted, and marked so: {offsets}{tail}"


def _unprovable(audit: Audit) -> Iterator[str]:
    notes = (
        ("unprovable", "records cannot be proven: retention has removed their part of the journal, or their results"),
        ("removed", "results whose records retention has removed"),
        ("void_entries", "journal entries of former owners that count no more"),
        ("accepted_again", "events sent again later than deduplication promises to remember"),
    )
    for name, words in notes:
        count = sum(getattr(findings, name) for findings in audit.partitions)
        if count:
            yield f"{count:,} {words}"


def _violations(audit: Audit) -> Iterator[str]:
    counts: Counter[ViolationKind] = Counter()
    for findings in audit.partitions:
        counts.update(findings.by_kind)
    for kind, count in counts.most_common():
        yield f"{count:,} x {SAYS[kind]} [{kind.value}]"
        cases = [one for findings in audit.partitions for one in findings.violations if one.kind is kind]
        for one in cases[:CASES_SHOWN]:
            detail = f": {one.detail}" if one.detail else ""
            yield f"  {one.topic}:{one.partition}:{one.offset}{detail}"
        if count > CASES_SHOWN:
            yield f"  ... and {count - CASES_SHOWN:,} more"

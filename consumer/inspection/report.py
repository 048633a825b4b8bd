"""What `inspect` prints: a table, JSON, and what an operator's decision will do. Prints nothing itself."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import orjson

from consumer.core.journal.stop import cure
from consumer.core.terms import Instant, Offset
from consumer.inspection.view import PartitionView

COLUMNS = ("partition", "state", "committed", "ahead", "unknown", "lag", "checkpoint", "claim", "since", "owner")
LEFT = frozenset({"partition", "state", "owner"})
NONE = "-"
MINUTE, HOUR, DAY = 60, 3_600, 86_400

EPILOG = """\
\b
Columns (in brackets: the name in --json)
  partition   topic:number (topic, partition)
  state       ordinary; stopped: does not start by itself (state, why, cure); accepted: an operator has decided;
              rewound and skipped: a tool has moved the group; records_lost: retention removed unread records;
              no_journal: the journal lacks this partition (state, why)
  committed   the offset that the group has committed (committed); where reading would begin now (watermark)
  ahead       records from there on that have an outcome (settledAhead)
  unknown     records from there on with an attempt in flight or of unknown fate (unknown)
  lag         records up to the log's end (lag, logStart, logEnd)
  checkpoint  age of the last checkpoint in the journal (checkpoint: journalOffset, ageSeconds)
  claim       journal offset of the owner's claim (claimOffset, journalEnd)
  since       age of that claim (owner: since, RFC 3339)
  owner       the member that claimed it; "gone" if it has left the group (owner: member, process, version, inGroup)
  (notes)     below the table: what others have written into the journal by mistake (notes)
"""


def table(views: Sequence[PartitionView], now: Instant) -> Iterator[str]:
    """Yield the table's lines, and below it the remarks about partitions."""
    rows = [COLUMNS, *(_row(view, now) for view in views)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    for row in rows:
        cells = (
            cell.ljust(width) if name in LEFT else cell.rjust(width)
            for name, cell, width in zip(COLUMNS, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
    for view in views:
        yield from remarks(view)


def remarks(view: PartitionView) -> Iterator[str]:
    """Yield remarks about a partition: why it is in its state, and notes. A line each."""
    if view.why is not None:
        remedy = cure_of(view)
        yield f"{view.partition} is {view.state.value}: {view.why}" + ("" if remedy is None else f"; cure: {remedy}")
    for note in view.notes:
        yield f"{view.partition}: {note}"


def _row(view: PartitionView, now: Instant) -> tuple[str, ...]:
    owner = view.owner
    return (
        str(view.partition),
        view.state.value,
        _number(view.committed),
        str(view.settled_ahead),
        str(view.unknown),
        _number(view.lag),
        _age(view.checkpoint_written_at, now),
        _number(view.claim_offset),
        _age(None if owner is None else owner.claimed_at, now),
        NONE if owner is None else owner.member if owner.in_group else f"{owner.member} (gone)",
    )


def cure_of(view: PartitionView) -> str | None:
    """Return what to do about a stopped partition; None where it is not stopped."""
    return None if view.stop is None else cure(view.stop, view.partition)


def _number(number: int | None) -> str:
    return NONE if number is None else str(number)


def _age(instant: Instant | None, now: Instant) -> str:
    if instant is None:
        return NONE
    seconds = max(0, int(now - instant))
    for unit, symbol in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= 2 * unit:
            return f"{seconds // unit}{symbol}"
    return f"{seconds}s"


def document(views: Sequence[PartitionView], *, group: str, now: Instant) -> bytes:
    """Return the table's content as JSON."""
    return orjson.dumps(
        {"group": group, "at": _rfc3339(now), "partitions": [_fields(view, now) for view in views]},
        option=orjson.OPT_INDENT_2,
    )


def _fields(view: PartitionView, now: Instant) -> dict[str, object]:
    owner, written_at = view.owner, view.checkpoint_written_at
    return {
        "topic": view.partition.topic,
        "partition": view.partition.number,
        "state": view.state.value,
        "why": view.why,
        "cure": cure_of(view),
        "committed": view.committed,
        "watermark": view.watermark,
        "settledAhead": view.settled_ahead,
        "unknown": view.unknown,
        "lag": view.lag,
        "logStart": view.log_start,
        "logEnd": view.log_end,
        "owner": None
        if owner is None
        else {
            "member": owner.member,
            "process": owner.process,
            "version": owner.version,
            "since": _rfc3339(owner.claimed_at),
            "inGroup": owner.in_group,
        },
        "claimOffset": view.claim_offset,
        "checkpoint": None
        if view.checkpoint_offset is None
        else {
            "journalOffset": view.checkpoint_offset,
            "ageSeconds": None if written_at is None else round(max(0.0, now - written_at), 3),
        },
        "journalEnd": view.journal_end,
        "notes": list(view.notes),
    }


def _rfc3339(instant: Instant) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def forecast(view: PartitionView, start: Offset) -> Iterator[str]:
    """Yield lines that say what happens if a stopped partition starts at an offset."""
    assert view.log_end is not None
    assert view.stop is not None
    yield f"{view.partition} is stopped: {view.why}"
    yield f"Before that: {view.stop.first}. Go on here {view.stop.accept}."
    yield (
        f"It will start at offset {start} (committed: {_number(view.committed)}, log: {_number(view.log_start)} to "
        f"{view.log_end}). Up to {view.log_end - start} records are processed again, as if nothing had been sent."
    )
    yield (
        "People who have got one of these texts before get it again, unmarked, unless the event is older than "
        "CAMPAIGN_KAFKA__MAX_EVENT_AGE."
    )
    yield (
        f"The journal still knows {view.settled_ahead} outcomes and {view.unknown} records of unknown fate "
        f"from offset {view.watermark or 0} on; all of that is given up."
    )

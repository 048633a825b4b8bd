"""The page that people read, and the document that scripts read."""

import orjson

from consumer.core.journal.stop import topic_changed
from consumer.core.terms import Instant, JournalOffset, Offset, Partition
from consumer.inspection.report import COLUMNS, EPILOG, document, forecast, table
from consumer.inspection.view import Owner, PartitionView, State

NOW = Instant(1_790_000_000.0)
AT_WORK = PartitionView(
    partition=Partition("events", 0),
    state=State.ORDINARY,
    committed=Offset(40),
    watermark=Offset(41),
    settled_ahead=2,
    unknown=1,
    log_start=Offset(0),
    log_end=Offset(1041),
    owner=Owner(member="m-1", process="p", version="1.0", claimed_at=Instant(NOW - 7300), in_group=False),
    claim_offset=JournalOffset(5),
    checkpoint_offset=JournalOffset(90),
    checkpoint_written_at=Instant(NOW - 3.5),
    journal_end=JournalOffset(97),
)
STOPPED = PartitionView(
    partition=Partition("events", 11),
    state=State.STOPPED,
    why="it was recreated",
    stop=topic_changed("it was recreated"),
    committed=Offset(40),
    log_start=Offset(0),
    log_end=Offset(60),
)
CURE = (
    "find out who has recreated or truncated the events topic; then decide with campaign-consumer inspect "
    "--accept events:11, which forgets what was sent before, so that people may be texted twice"
)


def test_people_get_a_row_a_partition_and_a_line_with_the_cure() -> None:
    head, first, second, line = table([AT_WORK, STOPPED], NOW)
    assert tuple(head.split()) == COLUMNS
    assert first.split() == ["events:0", "ordinary", *["40", "2", "1", "1000", "3s", "5", "2h"], "m-1", "(gone)"]
    assert second.split() == ["events:11", "stopped", *["40", "0", "0", "-", "-", "-", "-", "-"]]
    assert first.index("1000") + 4 == head.index("lag") + 3, "numbers stand below one another's ends"
    assert line == f"events:11 is stopped: it was recreated; cure: {CURE}"


def test_scripts_get_every_field_under_the_name_that_the_help_page_gives() -> None:
    said = orjson.loads(document([AT_WORK, STOPPED], group="g", now=NOW))
    first, second = said["partitions"]
    assert said["group"] == "g"
    assert first == {
        "topic": "events",
        "partition": 0,
        "state": "ordinary",
        "why": None,
        "cure": None,
        "committed": 40,
        "watermark": 41,
        "settledAhead": 2,
        "unknown": 1,
        "lag": 1000,
        "logStart": 0,
        "logEnd": 1041,
        "owner": {
            "member": "m-1",
            "process": "p",
            "version": "1.0",
            "since": "2026-09-21T12:11:40.000Z",
            "inGroup": False,
        },
        "claimOffset": 5,
        "checkpoint": {"journalOffset": 90, "ageSeconds": 3.5},
        "journalEnd": 97,
        "notes": [],
    }
    assert first.keys() == second.keys()
    names = {*first, *first["owner"], *first["checkpoint"]}
    assert not [name for name in names if name not in EPILOG], "each name stands in --help"


def test_an_operator_reads_first_what_the_decision_will_do() -> None:
    said = "\n".join(forecast(STOPPED, Offset(20)))
    assert "Up to 40 records are processed again" in said
    assert "get it again, unmarked" in said

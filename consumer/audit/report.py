"""An audit as JSON, for scripts. The names are part of the command's contract."""

from typing import Any

from consumer.audit.findings import Findings
from consumer.audit.run import Audit


def report_of(audit: Audit) -> dict[str, Any]:
    """Return the whole report. Lists of single cases are cut at 1,000 a partition; the counts are not."""
    return {
        "proven": audit.proven,
        "group": audit.group,
        "partitions": [_partition(findings) for findings in audit.partitions],
        "violations": [
            {
                "kind": violation.kind.value,
                "topic": violation.topic,
                "partition": violation.partition,
                "offset": violation.offset,
                "detail": violation.detail,
            }
            for findings in audit.partitions
            for violation in findings.violations
        ],
    }


def _partition(findings: Findings) -> dict[str, Any]:
    return {
        "topic": findings.topic,
        "partition": findings.partition,
        "from": findings.start,
        "to": findings.stop,
        "committed": findings.committed,
        "records": findings.records,
        "outcomes": findings.outcomes,
        "results": findings.results,
        "republished": findings.republished,
        "deadLetters": findings.dead_letters,
        "pending": findings.pending,
        "unprovable": findings.unprovable,
        "removed": findings.removed,
        "voidEntries": findings.void_entries,
        "sentAgainBeyondDeduplication": findings.accepted_again,
        "byStatus": dict(findings.by_status),
        "skipped": [{"from": span.start, "to": span.stop, "why": span.why} for span in findings.spans],
        "unknown": {
            "count": findings.unknown_by_status.total(),
            "byStatus": dict(findings.unknown_by_status),
            "records": [
                {"offset": one.offset, "status": one.status, "possibleDuplicate": one.possible_duplicate}
                for one in findings.unknown
            ],
        },
        "violations": {kind.value: count for kind, count in findings.by_kind.items()},
    }

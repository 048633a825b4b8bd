"""The page of all metrics for readers, `deploy/METRICS.md`, written from their declarations. Never read by the service.

`python -m consumer.edge.telemetry.metrics_page` prints it.
"""

import sys
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Final

from consumer.edge.telemetry.meters import Described, Distribution
from consumer.edge.telemetry.metric_groups import GROUPS, WAY, MetricGroup
from consumer.edge.telemetry.metrics import Metrics

WIDTH: Final = 120
HEAD: Final = """\
# Metrics

Every metric of the campaign consumer. `make generate` writes this page from the code.

`GET /metrics` on `HTTP__HOST` and `HTTP__PORT` answers in the text format of Prometheus, or in OpenMetrics where the scraper asks
for it. No label ever holds a phone, an event ID, or anything else without a bound. A label value `none` means that there is
none. The metrics `campaign_process_*` exist on Linux alone. OpenMetrics alone has exemplars: buckets of
`campaign_acceptance_delay_seconds` name a send, which `GET /sends?send=ID` and the log tell more of.

**Campaigns.** `METRICS__CAMPAIGN_LABELS` campaigns (20) have a label value of their own: first those with settings of their own,
then half of the places that are left to campaigns as they come, and every 30 s half of what is still left to the busiest. A
campaign keeps its label until the process ends, so that no counter goes back, and what it had before counts in `other`. Another
instance may have chosen others: a sum over instances by `campaign` is complete only for campaigns with settings of their own.

The tables below stand in the order in which somebody on call asks.
"""
WAY_HEAD: Final = """
## An event's way

| stage | how many | how long it took those that have passed | how long those have waited that are there |
|---|---|---|---|
"""
VALUES_HEAD: Final = """
## Label values

Further labels: `topic` and `partition` are Kafka's. `status` and `reason` of `campaign_results_total` and
`campaign_invalid_records_total` are explained in [`schemas/RESULTS.md`](../schemas/RESULTS.md). `code` is an HTTP status; rare
ones are counted by their class, such as `4xx`. `priority` is `normal` or `immediate`.

| metric | label | value | meaning |
|---|---|---|---|
"""
BUCKETS_HEAD: Final = """
## Buckets

The upper bounds of each histogram's buckets; `+Inf` follows.

| histogram | bounds |
|---|---|
"""
ACCESS_STATES: Final = {
    "first_contact": "this URL, key and field names have had no 2xx yet",
    "open": "sending",
    "stopped": "the platform refuses key, role, credit or address, or a proxy refuses",
    "unreachable": "no connection, several times in a row",
    "failing": "most of what it is asked fails: the breaker is open",
    "paused": "the platform has asked for a pause",
}
PARTITION_STATES: Final = {
    "claiming": "the claim is on its way to the journal",
    "reading": "the journal is being read",
    "owned": "at work",
    "unsure": "an append was not acknowledged; no new request takes events of this partition",
    "lost": "another member has claimed the partition",
    "stopped": "an operator has to decide",
}
BREAKER_STATES: Final = {
    "closed": "requests flow",
    "open": "nothing starts: the platform is not there, or most of what it was asked has failed",
    "half_open": "one real send at a time tries whether it is over",
}
RATES: Final = {"requests": "requests a second", "contacts": "contacts a second"}
SERVICE_STATES: Final = {
    "starting": "it has not joined the group yet",
    "running": "at work",
    "draining": "it is shutting down",
}
ANSWERS: Final = {
    "accepted": "a complete 2xx head",
    "refused": "a 4xx that refuses contacts or the campaign",
    "denied": "401, 402, 403, 407 or 3xx: key, role, credit, proxy or address is wrong",
    "not_delivered": "surely not processed: 408, 421, 425, 429, 503, or no connection",
    "unknown": "5xx, or no complete answer",
    "withheld": "never started: the last look before the first byte said no, or a deadline came before a connection",
}
RETRIES: Final = {
    "throttled": "408, 421, 425 or 429",
    "unavailable": "503",
    "unreachable": "no connection",
    "server_error": "5xx but 503",
    "answer_lost": "no complete answer",
    "denied": "the platform has refused key, role, credit or address",
    "no_proof": "the proof of ownership had grown stale before the first byte",
    "deadline": "the deadline of another event came before the first byte",
    "stopped": "an operator has held the campaign, or cancelled another event, before the first byte",
    "not_ours": "the partition of another event was lost or handed back before the first byte",
}
STOPS: Final = {
    "denied": "401, 402, 403, 407 or 3xx",
    "first_contact": "a refusal before the first 2xx of this configuration",
    "unreachable": "no connection, several times in a row",
    "failing": "most of what it is asked fails: the breaker is open",
}
DOUBTS: Final = {
    "answer_lost": "no complete answer",
    "server_error": "a 5xx",
    "owner_lost": "a take-over found the attempt without an end",
}
ERRORS: Final = {
    "request": "in the HTTP client",
    "answer": "while an answer was read; its status counts all the same",
    "telling": "while a log line or a metric was written",
}
PRODUCERS: Final = {"journal": "writes the journal", "results": "writes results and dead letters"}
COMMITS: Final = {"committed": "acknowledged", "failed": "not acknowledged; the next one tries again"}
CLOSES: Final = {
    "full": "it has `WINDOW__MAX_CONTACTS` contacts",
    "bytes": "the next contact would make the body larger than `WINDOW__MAX_BYTES`",
    "age": "`WINDOW__DURATION` is over",
    "deadline": "a member's `expiresAt` is near",
    "immediate": "a member is immediate, or an immediate event of the same person waits for it",
    "shutdown": "the service is stopping",
}
STAGES: Final = {
    "in_window": "in a window that still collects events",
    "queued": "waits for a slot, a retry, the end of its campaign's pause (429), or an earlier event of its person or ID",
    "in_flight": "in a request, or its intent is on its way into the journal",
    "blocked": "may not start, whoever's turn it is: held, turned away, asked to wait by a 503, its campaign refused, "
    "its partition unsure or stopped",
    "settling": "its outcome or its result is on its way",
}
LAG_PARTS: Final = {
    "backlog": "not read yet; of a stopped partition that is `blocked`",
    "parked": "read past for want of room in the buffer; read again when there is some",
    **STAGES,
}
VALUES: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("campaign_access_state", "state"): ACCESS_STATES,
    ("campaign_breaker_state", "state"): BREAKER_STATES,
    ("campaign_rate_limit", "unit"): RATES,
    ("campaign_answers_total", "answer"): ANSWERS,
    ("campaign_commits_total", "outcome"): COMMITS,
    ("campaign_dispatch_stops_total", "why"): STOPS,
    ("campaign_lag_part_records", "part"): LAG_PARTS,
    ("campaign_oldest_event_seconds", "stage"): STAGES,
    ("campaign_partitions", "state"): PARTITION_STATES,
    ("campaign_producers_replaced_total", "producer"): PRODUCERS,
    ("campaign_request_duration_seconds", "answer"): ANSWERS,
    ("campaign_retries_total", "reason"): RETRIES,
    ("campaign_service_state", "state"): SERVICE_STATES,
    ("campaign_unexpected_errors_total", "during"): ERRORS,
    ("campaign_unknown_outcomes_total", "reason"): DOUBTS,
    ("campaign_window_age_seconds", "why"): CLOSES,
}
"""What the values of closed lists mean, by metric and label."""


def page() -> str:
    """Return the page, as Markdown."""
    metrics = Metrics()
    described = {each.name: each for each in metrics.described()}
    groups = (_group(group, described) for group in GROUPS)
    return "".join((HEAD, *groups, WAY_HEAD, _way(), VALUES_HEAD, _values(), BUCKETS_HEAD, _buckets(metrics)))


def _group(group: MetricGroup, described: Mapping[str, Described]) -> str:
    head = ("", f"## {group.question}", "", *wrap(group.how_to_read, width=WIDTH, break_on_hyphens=False), "")
    table = ("| metric | type | labels | meaning |", "|---|---|---|---|")
    rows = (
        f"| `{each.name}` | {each.kind} | {_code(each.labels) or '-'} | {each.meaning} |"
        for each in (described[f"campaign_{name}"] for name in group.names)
    )
    return _lines((*head, *table, *rows))


def _way() -> str:
    return _lines(f"| {' | '.join(stage)} |" for stage in WAY)


def _values() -> str:
    return _lines(
        f"| `{metric}` | `{label}` | `{value}` | {meaning} |"
        for (metric, label), values in VALUES.items()
        for value, meaning in values.items()
    )


def _buckets(metrics: Metrics) -> str:
    histograms = [family for family in metrics.families() if isinstance(family, Distribution)]
    return _lines(
        f"| `{each.described.name}` | {', '.join(f'{bound:g}' for bound in each.bounds)} |"
        for each in sorted(histograms, key=lambda each: each.described.name)
    )


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join((*lines, ""))


if __name__ == "__main__":
    sys.stdout.write(page())

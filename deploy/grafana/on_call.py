"""The dashboard for people on call: what each panel asks, and how its answer is read."""

from typing import Final

from grafana import (
    BLUE,
    GREEN,
    HERE,
    RED,
    TOPIC,
    WHO_IS_TEXTED,
    YELLOW,
    Panel,
    Query,
    Row,
    above,
    highest,
    median_and_99th,
    per_second,
    quantile,
    total,
)

SENDING: Final = Row(
    title="Are we sending",
    panels=[
        WHO_IS_TEXTED,
        Panel(
            title="Verdict",
            description="How the service stands, of all instances the worst. The operations page and /status say it in words.",
            unit="none",
            kind="stat",
            width=4,
            queries=[Query(expression=highest("campaign_verdict_grade"))],
            heading="campaignnotsending",
            thresholds=above(1, 2),
            words=[(0, "good", GREEN), (1, "worth knowing", YELLOW), (2, "look now", RED)],
        ),
        Panel(
            title="What the verdict names",
            description="Each cause over time, as the alerts see it. The runbook has a heading for each that wakes somebody.",
            unit="none",
            kind="state-timeline",
            width=12,
            queries=[
                Query(
                    expression=f"{highest('campaign_verdict_cause', by='cause')} > 0 or "
                    f"topk(3, {highest('campaign_verdict_cause', by='cause')})",
                    legend="{{cause}}",
                )
            ],
            heading="campaignnotsending",
            thresholds=((None, GREEN), (1, RED)),
            words=[(0, "no", GREEN), (1, "yes", RED)],
        ),
        Panel(
            title="Instances at work",
            description="Instances that have joined the group. One fewer than deployed: look at its pod.",
            unit="none",
            kind="stat",
            width=4,
            queries=[Query(expression=total("campaign_service_state", where=f'{HERE}, state="running"'))],
            heading="campaigninstancedown",
            thresholds=((None, RED), (1, GREEN)),
        ),
        Panel(
            title="Stopped partitions",
            description="Partitions that wait until somebody decides. Their events are not sent.",
            unit="none",
            kind="stat",
            width=4,
            queries=[Query(expression=total("campaign_partitions", where=f'{HERE}, state="stopped"'))],
            heading="campaignpartitionstopped",
            thresholds=((None, GREEN), (1, RED)),
        ),
        Panel(
            title="Results by status",
            description="Outcomes a second. Nothing but accepted is the good day; the others are explained further down.",
            unit="ops",
            queries=[Query(expression=per_second("campaign_results_total", by="status"), legend="{{status}}")],
            heading="campaignnotsending",
            stacked=True,
        ),
        Panel(
            title="Requests and contacts",
            description="Requests started, and contacts in them, a second. Many requests with few contacts: short windows, or little traffic.",
            unit="ops",
            queries=[
                Query(expression=per_second("campaign_requests_total", by="priority"), legend="requests, {{priority}}"),
                Query(expression=per_second("campaign_request_contacts_sum"), legend="contacts"),
            ],
        ),
        Panel(
            title="Requests in flight",
            description="Sends with a slot, how many may have one now, and DELIVERY__MAX_CONCURRENCY. At the limit for long: the platform is slow, or the limit low.",
            unit="none",
            queries=[
                Query(expression=total("campaign_requests_in_flight"), legend="in flight"),
                Query(expression=total("campaign_concurrency_limit"), legend="limit now"),
                Query(expression=total("campaign_requests_in_flight_limit"), legend="most"),
            ],
            heading="campaignplatformfailing",
        ),
    ],
)

LATENESS: Final = Row(
    title="How late",
    panels=[
        Panel(
            title="Lag in seconds",
            description="The age of the oldest record without an acknowledged result, by its time in Kafka. It grows while nothing goes out. Events that a hold, a schedule or a window lets wait count as well.",
            unit="s",
            queries=[
                Query(expression=highest("campaign_lag_seconds", by="topic", where=TOPIC), legend="{{topic}}"),
                Query(expression=highest("campaign_urgent_late_seconds"), legend="late, of urgent topics"),
            ],
            heading="campaignnormaleventslate",
            thresholds=above(60, 900),
        ),
        Panel(
            title="Event to acceptance",
            description="From an event's occurredAt to the platform's 2xx, of what was accepted. It stands still while nothing is: then look at the lag.",
            unit="s",
            queries=median_and_99th("campaign_event_delay_seconds", "priority"),
            heading="campaignimmediateeventslate",
            thresholds=above(5, 32),
        ),
        Panel(
            title="Oldest event by stage",
            description="For how long the oldest event of each stage has been in the process.",
            unit="s",
            queries=[Query(expression=highest("campaign_oldest_event_seconds", by="stage"), legend="{{stage}}")],
            heading="campaignnormaleventslate",
            thresholds=above(30, 300),
        ),
        Panel(
            title="Late, of the promised",
            description="The share of events that were not accepted in time: normal ones within their window and 30 s (promised: 99 %), immediate ones within 5 s (99.9 %).",
            unit="percentunit",
            queries=[
                Query(
                    expression=f"1 - {per_second('campaign_slo_good_events_total', by='priority')} / "
                    f"({per_second('campaign_slo_events_total', by='priority')} > 0)",
                    legend="{{priority}}",
                )
            ],
            heading="campaignnormaleventslate",
            thresholds=above(0.001, 0.01),
        ),
        Panel(
            title="Windows and queue",
            description="How old windows are when they close, and how long a send waits from there to its first byte.",
            unit="s",
            queries=[
                Query(expression=quantile(0.5, "campaign_window_age_seconds", by="why"), legend="window, {{why}}"),
                Query(
                    expression=quantile(0.99, "campaign_queue_wait_seconds", by="priority"),
                    legend="queue 99 %, {{priority}}",
                ),
            ],
            heading="campaignimmediateeventslate",
            thresholds=above(5, 30),
        ),
        Panel(
            title="Lag against retention",
            description="How much of the time until Kafka removes events the oldest one has used up.",
            unit="percentunit",
            queries=[
                Query(
                    expression=f"{highest('campaign_lag_seconds', by='topic', where=TOPIC)} / "
                    f"min by (topic) (campaign_topic_retention_seconds{{{TOPIC}}})",
                    legend="{{topic}}",
                )
            ],
            heading="campaignlagnearretention",
            thresholds=above(0.1, 0.5),
        ),
    ],
)

FAILURES: Final = Row(
    title="What fails and why",
    panels=[
        Panel(
            title="Results that are not accepted",
            description="By status and reason; schemas/RESULTS.md explains each. rejected, campaign_refused: look at the campaign on the platform.",
            unit="ops",
            queries=[
                Query(
                    expression=per_second(
                        "campaign_results_total", by="status, reason", where=f'{HERE}, status!="accepted"'
                    ),
                    legend="{{status}}, {{reason}}",
                )
            ],
            heading="campaigncampaignrefused",
            stacked=True,
        ),
        Panel(
            title="Answers by code",
            description="What attempts came to: the HTTP status, none where no complete head came back.",
            unit="ops",
            queries=[
                Query(expression=per_second("campaign_answers_total", by="answer, code"), legend="{{code}} {{answer}}")
            ],
            heading="campaignplatformfailing",
            stacked=True,
        ),
        Panel(
            title="Retries and halvings",
            description="Sends put back to try again, by reason, and refused requests that were halved to find the bad contact.",
            unit="ops",
            queries=[
                Query(expression=per_second("campaign_retries_total", by="reason"), legend="{{reason}}"),
                Query(expression=per_second("campaign_splits_total"), legend="halved"),
            ],
            heading="campaignplatformfailing",
        ),
        Panel(
            title="Unknown outcomes, 1 h",
            description="Contacts whose attempt may have been received although its answer was lost.",
            unit="none",
            queries=[
                Query(
                    expression=f"sum by (reason) (increase(campaign_unknown_outcomes_total{{{HERE}}}[1h]))",
                    legend="{{reason}}",
                )
            ],
            heading="campaignunknownoutcomesrising",
            thresholds=above(1, 100),
        ),
        Panel(
            title="Possible duplicates, 1 h",
            description="Contacts that may have been texted twice.",
            unit="none",
            queries=[
                Query(expression=f"sum(increase(campaign_possible_duplicates_total{{{HERE}}}[1h]))", legend="contacts")
            ],
            heading="campaignpossibleduplicates",
            thresholds=above(1, 100),
        ),
        Panel(
            title="Invalid records",
            description="Records that are no valid event; the dead-letter topic has them. Their producer has to be told.",
            unit="ops",
            queries=[
                Query(
                    expression=per_second("campaign_invalid_records_total", by="reason", where=TOPIC),
                    legend="{{reason}}",
                ),
                Query(
                    expression=per_second("campaign_unknown_fields_total", by="meant"), legend="a field like {{meant}}"
                ),
            ],
            heading="campaigndeadlettersrising",
            thresholds=above(0.01, 1),
        ),
    ],
)

HOLDING: Final = Row(
    title="What holds us",
    panels=[
        Panel(
            title="Lag by what it waits for",
            description="Records without an acknowledged result. backlog is unread, parked has no room yet, blocked is held, refused or turned away, settling waits for the brokers.",
            unit="none",
            queries=[Query(expression=total("campaign_lag_part_records", by="part", where=TOPIC), legend="{{part}}")],
            heading="campaignnormaleventslate",
            stacked=True,
            width=12,
        ),
        Panel(
            title="Access to the platform",
            description="open is the good state; the others say why nothing, or one request at a time, goes out.",
            unit="none",
            kind="state-timeline",
            width=6,
            queries=[Query(expression=highest("campaign_access_state", by="state"), legend="{{state}}")],
            heading="campaignplatformrefusesus",
            thresholds=((None, "transparent"), (1, BLUE)),
            words=[(0, " ", "transparent"), (1, "now", BLUE)],
        ),
        Panel(
            title="Breaker",
            description="open: most of what the platform was asked has failed, or it is not there. half_open: one real send tries.",
            unit="none",
            kind="state-timeline",
            width=6,
            queries=[Query(expression=highest("campaign_breaker_state", by="state"), legend="{{state}}")],
            heading="campaignplatformfailing",
            thresholds=((None, "transparent"), (1, BLUE)),
            words=[(0, " ", "transparent"), (1, "now", BLUE)],
        ),
        Panel(
            title="Holds",
            description="What operators hold, and for how many seconds the eldest hold has been in force: campaigns list says whose and why.",
            unit="none",
            queries=[
                Query(expression=highest("campaign_holds"), legend="holds"),
                Query(expression=f"{highest('campaign_hold_age_seconds')} / 3600", legend="eldest, hours"),
            ],
            heading="campaignholdold",
            thresholds=above(1, 24),
        ),
        Panel(
            title="Refused campaigns",
            description="Campaigns that our key may not send. Their events fail once DELIVERY__RETRY__MAX_AGE is over.",
            unit="none",
            queries=[Query(expression=highest("campaign_refused_campaigns"), legend="campaigns")],
            heading="campaigncampaignrefused",
            thresholds=above(1, 10),
        ),
        Panel(
            title="Buffer",
            description="How full the buffer is, of the fullest instance. Full: what has no room is parked until something goes out.",
            unit="percentunit",
            queries=[
                Query(
                    expression=f"max(campaign_buffer_events{{{HERE}}} / campaign_buffer_max_events{{{HERE}}})",
                    legend="events",
                ),
                Query(
                    expression=f"max(campaign_buffer_bytes{{{HERE}}} / campaign_buffer_max_bytes{{{HERE}}})",
                    legend="bytes",
                ),
            ],
            heading="campaignbufferfull",
            thresholds=above(0.8, 1),
            maximum=1,
        ),
        Panel(
            title="Parked records",
            description="Read past for want of room, and read again later. Their number falls as room comes; ranges by the hundred mean many small pieces to read again.",
            unit="none",
            queries=[
                Query(expression=total("campaign_lag_part_records", where=f'{TOPIC}, part="parked"'), legend="records"),
                Query(expression=total("campaign_parked_ranges"), legend="ranges"),
                Query(expression=total("campaign_read_past"), legend="instances that read on past them"),
                Query(expression=total("campaign_bounded_partitions"), legend="partitions not read, at a bound"),
            ],
            heading="campaignbufferfull",
        ),
        Panel(
            title="Eldest parked record",
            description="For how long the eldest parked record has been in Kafka. It grows while its campaign is held, refused or throttled, or the platform too slow: the runbook says how to tell which.",
            unit="s",
            queries=[Query(expression=highest("campaign_parked_age_seconds"), legend="eldest")],
            heading="campaignbufferfull",
            thresholds=above(300, 3600),
        ),
        Panel(
            title="Read and read again",
            description="Records taken, and records read again to take parked ones in, a second. Several times as many: each piece has room for few.",
            unit="ops",
            queries=[
                Query(expression=per_second("campaign_records_read_total", where=TOPIC), legend="read"),
                Query(expression=per_second("campaign_records_read_again_total", where=TOPIC), legend="read again"),
            ],
            heading="campaignbufferfull",
        ),
        Panel(
            title="Waiting",
            description="Open windows, queued sends, and partitions that are not read now.",
            unit="none",
            queries=[
                Query(expression=total("campaign_windows_open"), legend="windows"),
                Query(expression=total("campaign_sends_queued"), legend="sends queued"),
                Query(expression=total("campaign_partitions_paused"), legend="partitions paused"),
            ],
            heading="campaignbufferfull",
        ),
        Panel(
            title="Partitions by state",
            description="owned is at work; unsure waits for its journal, stopped for a person.",
            unit="none",
            queries=[Query(expression=total("campaign_partitions", by="state"), legend="{{state}}")],
            heading="campaignjournalunsure",
            stacked=True,
        ),
    ],
)

"""The last row of the dashboard for people on call: how the machine and the brokers do."""

from typing import Final

from grafana import HERE, Panel, Query, Row, above, highest, median_and_99th, per_second, quantile, total

MACHINE: Final = Row(
    title="The machine",
    panels=[
        Panel(
            title="CPU",
            description="Cores in use by each instance. The service uses one at most: near it, add instances.",
            unit="none",
            queries=[
                Query(expression=per_second("campaign_process_cpu_seconds_total", by="instance"), legend="{{instance}}")
            ],
            thresholds=above(0.8, 0.95),
        ),
        Panel(
            title="Memory",
            description="Resident memory of each instance. It is bounded by BUFFER__MAX_BYTES and what is remembered against duplicates.",
            unit="bytes",
            queries=[
                Query(expression=total("campaign_process_resident_memory_bytes", by="instance"), legend="{{instance}}")
            ],
        ),
        Panel(
            title="Loop delay",
            description="How late the event loop's timers fire. Beyond 50 ms everything is late.",
            unit="s",
            queries=median_and_99th("campaign_loop_delay_seconds"),
            heading="campaigninstancestuck",
            thresholds=above(0.05, 1),
        ),
        Panel(
            title="Journal and results",
            description="How long appends to the journal and publications of results take, acknowledgement included: the brokers' share of a send's delay.",
            unit="s",
            queries=[
                Query(expression=quantile(0.99, "campaign_journal_append_duration_seconds"), legend="journal 99 %"),
                Query(expression=quantile(0.99, "campaign_publish_duration_seconds"), legend="results 99 %"),
            ],
            heading="campaignjournalunsure",
            thresholds=above(0.5, 2),
        ),
        Panel(
            title="Commits and checkpoints",
            description="How long they take, and how long ago the last complete ones were.",
            unit="s",
            queries=[
                Query(expression=quantile(0.99, "campaign_commit_duration_seconds"), legend="commit 99 %"),
                Query(expression=quantile(0.99, "campaign_checkpoint_duration_seconds"), legend="checkpoint 99 %"),
                Query(expression=highest("campaign_last_commit_age_seconds"), legend="since the last commit"),
                Query(expression=highest("campaign_checkpoint_age_seconds"), legend="since the last checkpoint"),
            ],
            heading="campaignbrokersunreachable",
            thresholds=above(10, 60),
        ),
        Panel(
            title="Rebalances",
            description="Assignments in the last hour, and how long the latest took until each partition was at work. More than deployments explain: look at session time-outs.",
            unit="none",
            queries=[
                Query(expression=f"sum(increase(campaign_rebalances_total{{{HERE}}}[1h]))", legend="in the last hour"),
                Query(
                    expression=f"histogram_quantile(0.99, sum by (le) (increase(campaign_rebalance_duration_seconds_bucket{{{HERE}}}[1h])))",
                    legend="99 %, seconds",
                ),
                Query(
                    expression=f"sum(increase(campaign_partitions_lost_total{{{HERE}}}[1h])) or vector(0)",
                    legend="partitions lost",
                ),
            ],
            heading="campaignforeigngrouponjournal",
            thresholds=above(10, 60),
        ),
    ],
)

"""The dashboard for teams that publish events: what became of those of their campaign."""

from typing import Final

from grafana import (
    GREEN,
    HERE,
    RED,
    WHO_IS_TEXTED,
    YELLOW,
    Panel,
    Query,
    Row,
    above,
    highest,
    median_and_99th,
    per_second,
)

MINE: Final = f'{HERE}, campaign=~"$campaign"'
RESULTS_OF_MINE: Final = Row(
    title="What became of your events?",
    panels=[
        WHO_IS_TEXTED,
        Panel(
            title="Accepted",
            description="The share of your campaign's events that the platform accepted, of those with an outcome in the range shown.",
            unit="percentunit",
            kind="stat",
            width=6,
            queries=[
                Query(
                    expression=f'sum(increase(campaign_campaign_results_total{{{MINE}, status="accepted"}}[$__range])) / '
                    f"sum(increase(campaign_campaign_results_total{{{MINE}}}[$__range]))"
                )
            ],
            thresholds=((None, RED), (0.95, YELLOW), (0.99, GREEN)),
            maximum=1,
        ),
        Panel(
            title="Events with an outcome",
            description="How many of your campaign's events got a result in the range shown.",
            unit="none",
            kind="stat",
            width=6,
            queries=[Query(expression=f"sum(increase(campaign_campaign_results_total{{{MINE}}}[$__range]))")],
        ),
        Panel(
            title="Results by status",
            description="Outcomes a second, by campaign and status. campaign-consumer results finds single ones.",
            unit="ops",
            width=12,
            queries=[
                Query(
                    expression=per_second("campaign_campaign_results_total", by="campaign, status", where=MINE),
                    legend="{{campaign}} {{status}}",
                )
            ],
            stacked=True,
        ),
        Panel(
            title="Arrival to acceptance",
            description="From the arrival of an event in the service to the platform's 2xx. The window (2 s unless your campaign has one of its own) is part of it.",
            unit="s",
            width=12,
            queries=median_and_99th("campaign_campaign_acceptance_delay_seconds", "campaign"),
            thresholds=above(5, 32),
        ),
        Panel(
            title="What was not accepted, and why",
            description="By reason; schemas/RESULTS.md explains each and says what to do about it.",
            unit="ops",
            width=12,
            queries=[
                Query(
                    expression=per_second(
                        "campaign_campaign_results_total", by="status, reason", where=f'{MINE}, status!="accepted"'
                    ),
                    legend="{{status}}, {{reason}}",
                )
            ],
            stacked=True,
        ),
        Panel(
            title="Records that were no events",
            description="Of all publishers, for an invalid record names no campaign. The header dlq-detail in the dead-letter topic says what is wrong with each.",
            unit="ops",
            width=12,
            queries=[Query(expression=per_second("campaign_invalid_records_total", by="reason"), legend="{{reason}}")],
            heading="campaigndeadlettersrising",
            thresholds=above(0.01, 1),
        ),
        Panel(
            title="Is it the service?",
            description="The verdict on the service. While it is not good, your events wait; nothing of them is lost.",
            unit="none",
            kind="stat",
            width=12,
            queries=[Query(expression=highest("campaign_verdict_grade"))],
            thresholds=above(1, 2),
            words=[(0, "good", GREEN), (1, "worth knowing", YELLOW), (2, "its people are looking", RED)],
        ),
    ],
)

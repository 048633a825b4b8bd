"""Writes the dashboards beside this file, for Grafana 11 or newer. It imports no package of ours.

`python deploy/grafana/dashboards.py` writes `campaign-consumer.json` for people on call, and `upstream.json` for teams that
publish events. Every panel has a unit, a description, thresholds, and a link to what to do.
"""

import json
from pathlib import Path
from typing import Any, Final

from grafana import HERE, dashboard, variable
from machine import MACHINE
from on_call import FAILURES, HOLDING, LATENESS, SENDING
from upstream import RESULTS_OF_MINE

FOLDER: Final = Path(__file__).parent
GROUP: Final = variable("group", "group", "label_values(campaign_build_info, group)")
INSTANCE: Final = variable("instance", "instance", 'label_values(campaign_build_info{group=~"$group"}, instance)')
TOPICS: Final = variable("topic", "topic", f"label_values(campaign_lag_records{{{HERE}}}, topic)")
CAMPAIGN: Final = variable("campaign", "campaign", f"label_values(campaign_campaign_results_total{{{HERE}}}, campaign)")


def dashboards() -> dict[str, Any]:
    """Return every dashboard by its file's name."""
    return {
        "campaign-consumer.json": dashboard(
            "Campaign consumer",
            "campaign-consumer",
            "For people on call: is it sending, how late is it, what fails and why, what holds it.",
            [GROUP, INSTANCE, TOPICS],
            [SENDING, LATENESS, FAILURES, HOLDING, MACHINE],
        ),
        "upstream.json": dashboard(
            "Campaign consumer: for those who publish events",
            "campaign-consumer-upstream",
            "What became of a campaign's events, how long it took, and what was rejected and why.",
            [GROUP, INSTANCE, CAMPAIGN],
            [RESULTS_OF_MINE],
        ),
    }


def main() -> None:
    """Write them."""
    for name, made in dashboards().items():
        (FOLDER / name).write_text(json.dumps(made, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

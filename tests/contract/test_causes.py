"""Whatever the verdict names is explained: each cause to whoever runs the service, and where to go with it when paged."""

import re
from pathlib import Path

import pytest

from consumer.service.verdict import RUNBOOK, VerdictCause

DEPLOY = Path(__file__).parents[2] / "deploy"
HEADINGS = set(re.findall(r"^#+ (\w+)$", (DEPLOY / "RUNBOOK.md").read_text("utf-8"), re.MULTILINE))
EXPLAINED = {
    cause
    for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", (DEPLOY / "README.md").read_text("utf-8"), re.MULTILINE)
    for cause in re.findall(r"\w+", row)
}
NOBODY_IS_PAGED_FOR = {
    *(VerdictCause.STARTING, VerdictCause.DRAINING),
    *(VerdictCause.CAMPAIGNS_THROTTLED, VerdictCause.RATE_LIMIT, VerdictCause.CONCURRENCY),
}


@pytest.mark.parametrize("cause", VerdictCause)
def test_a_cause_leads_to_a_heading_of_the_runbook(cause: VerdictCause) -> None:
    if cause in NOBODY_IS_PAGED_FOR:
        assert cause not in RUNBOOK
    else:
        assert RUNBOOK[cause] in HEADINGS


@pytest.mark.parametrize("cause", VerdictCause)
def test_a_cause_is_explained_to_whoever_runs_the_service(cause: VerdictCause) -> None:
    assert cause.value in EXPLAINED

"""What commands print for scripts is written like events and results: camelCase. `/status` has names of its own."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import click
import orjson
import pytest

from consumer.audit.findings import ViolationKind
from consumer.audit.report import report_of
from consumer.campaigns.outcomes import Outcomes, ResultLogs
from consumer.campaigns.report import cancel_document
from consumer.cli.main import COMMANDS
from consumer.core.outcome import Status
from consumer.core.platform.control import CampaignHold, Cancellation, ControlRecord, key_of, value_of
from consumer.core.platform.holds import Holds
from consumer.core.terms import AT_ONCE, Now
from consumer.inspection.report import document
from consumer.replay.document import document_of
from consumer.replay.publishing import report_of as resend_report
from consumer.replay.status import ResendStanding
from consumer.service.holding import holds_status
from schemas.json_schema import SUBJECTS, json_schema
from tests.audit.honest import honest
from tests.inspection.test_report import AT_WORK, NOW, STOPPED
from tests.lookup.published import published
from tests.replay.test_document import RECORDS, coded, plan


def _audited() -> Any:
    """A report with something in each of its lists."""
    world = honest()
    world.entry("skipped", **{"from": 20, "to": 30})
    world.publish(0, status="rejected")
    report = report_of(world.judged())
    findings = next(each for each in report["partitions"] if each["violations"])
    assert findings["skipped"]
    assert findings["unknown"]["records"]
    assert report["violations"]
    return report


DOCUMENTS: Mapping[str, Callable[[], Any]] = {
    "inspect": lambda: orjson.loads(document([AT_WORK, STOPPED], group="g", now=NOW)),
    "audit": _audited,
    "replay plan": lambda: orjson.loads(document_of(plan(coded(RECORDS)))),
    "replay run": lambda: resend_report("replay-1", published=1, standing=2, left_out=3),
    "replay status": lambda: ResendStanding(
        resend_id="replay-1", results="results", starts={}, results_starts={}
    ).report(),
    "campaigns list": lambda: holds_status(_orders()),
    "campaigns cancel": lambda: cancel_document(_orders().cancellations(), _outcomes()),
    "results": lambda: orjson.loads(published(1).value or b""),
    "schema": lambda: {name: json_schema(name) for name in SUBJECTS},
}
"""By command: what it prints for scripts, with every field there is. `schema` prints nothing else."""

STATUSES = {each.value for each in Status}
COUNTED = {"byStatus": STATUSES, "results": STATUSES, "violations": {each.value for each in ViolationKind}}
"""Objects that count by words of ours, as a result's `status`: such a word is a value, also where it is a key."""


def _orders() -> Holds:
    holds = Holds(86_400.0)
    held = CampaignHold(campaign_id=421, reject=False, reason="r", operator="o", since=NOW, held_since=NOW)
    cancelled = Cancellation(event_id="e-1", campaign_id=None, reason="r", operator="o", before=NOW)
    records = [ControlRecord(0, 0, key_of(said), value_of(said)) for said in (held, cancelled)]
    holds.heard(records, AT_ONCE, Now(NOW, AT_ONCE))
    return holds


def _outcomes() -> Outcomes:
    outcomes = Outcomes(cast("ResultLogs", None), "results", ["e-1", "e-2"])
    outcomes.found["e-1"] = {"eventId": "e-1", "status": "cancelled", "reason": "operator", "completedAt": "now"}
    return outcomes


def keys(value: Any, under: str = "") -> Iterator[str]:
    """Every key of a document that is a name, whatever it stands in."""
    match value:
        case dict():
            for key, inside in value.items():
                if key not in COUNTED.get(under, ()):
                    yield key
                yield from keys(inside, key)
        case list():
            for each in value:
                yield from keys(each, under)
        case _:
            pass


def printing_json() -> Iterator[str]:
    """Every command with an option `--json`, as it is called."""
    for name, (module, _) in COMMANDS.items():
        yield from _with_json(importlib.import_module(module).command, name)


def _with_json(command: click.Command, name: str) -> Iterator[str]:
    if any("--json" in parameter.opts for parameter in command.params):
        yield name
    if isinstance(command, click.Group):
        for part, inner in command.commands.items():
            yield from _with_json(inner, f"{name} {part}")


def test_every_command_that_prints_json_is_looked_at() -> None:
    assert {*printing_json(), "schema"} == {*DOCUMENTS, "top"}, "`top --json` is `/status`, with names of its own"


@pytest.mark.parametrize("command", sorted(DOCUMENTS))
def test_no_name_in_what_a_command_prints_has_an_underscore(command: str) -> None:
    names = set(keys(DOCUMENTS[command]()))

    assert names
    assert not {name for name in names if "_" in name}

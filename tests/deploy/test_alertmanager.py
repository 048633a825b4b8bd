"""The example for Alertmanager silences what follows from an alert that names the cause, and nothing else: a real one is asked."""

import asyncio
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from consumer.demo.child_process import ChildProcess
from consumer.demo.surroundings import plain_environment
from tests.support.eventually import eventually
from tests.support.rules import RULES, alerts

CONFIGURATION = RULES.parent / "alertmanager.yaml"
LISTENS = re.compile(r"address=(127\.0\.0\.1:[1-9]\d*)")
START_SECONDS = 30.0
END_SECONDS = 15.0
Labels = Mapping[str, str]


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run one by the example, on a free port and without others."""
    log = folder / "log"
    command = [
        "prometheus-alertmanager",
        f"--config.file={CONFIGURATION}",
        f"--storage.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    process = await asyncio.to_thread(ChildProcess.start, command, output=log, environment=plain_environment())
    try:

        async def ready() -> str | None:
            text = await asyncio.to_thread(log.read_text, "utf-8")
            assert process.exit_code is None, text
            found = LISTENS.search(text)
            return None if found is None else found[1]

        address = await eventually(ready, within_seconds=START_SECONDS, what="an Alertmanager that listens")
        async with httpx.AsyncClient(base_url=f"http://{address}/api/v2/", trust_env=False) as http:
            yield http
    finally:
        process.send(signal.SIGTERM)
        await asyncio.to_thread(process.wait, END_SECONDS)


async def silent_beside(http: httpx.AsyncClient, *firing: Labels) -> set[str]:
    """Which of these alerts, of one consumer group that nobody else has, are inhibited by another one."""
    group = {"job": "sender", "group": uuid4().hex}
    (await http.post("alerts", json=[{"labels": {**labels, **group}} for labels in firing])).raise_for_status()
    answer = await http.get("alerts", params={"filter": f'group="{group["group"]}"'})
    found = answer.raise_for_status().json()
    assert len(found) == len(firing)
    return {one["labels"]["alertname"] for one in found if one["status"]["inhibitedBy"]}


def labels(name: str, case: str | None = None) -> Labels:
    (rule,) = [one for one in alerts() if one["alert"] == name and one["labels"].get("case") == case]
    return {"alertname": name, **rule["labels"]}


def test_amtool_finds_the_example_in_order() -> None:
    command = ["amtool", "check-config", str(CONFIGURATION)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_names_alerts_that_exist() -> None:
    named = set(re.findall(r"\bCampaign[A-Z]\w+", CONFIGURATION.read_text("utf-8")))
    assert named <= {rule["alert"] for rule in alerts()}


async def test_lateness_is_silent_beside_its_cause_and_nothing_else_is(tmp_path: Path) -> None:
    late, lost = labels("CampaignNormalEventsLate", "fast"), labels("CampaignLagNearRetention", "near")
    immediate, doubled = labels("CampaignImmediateEventsLate", "fast"), labels("CampaignPossibleDuplicates")
    async with alertmanager(tmp_path) as http:
        assert await silent_beside(http, late, immediate, lost, doubled) == set()
        cause = labels("CampaignPlatformUnreachable")
        both = {"CampaignNormalEventsLate", "CampaignImmediateEventsLate"}
        assert await silent_beside(http, cause, late, immediate, lost, doubled) == both
        assert await silent_beside(http, labels("CampaignInstanceDown", "all"), late) == {"CampaignNormalEventsLate"}
        assert await silent_beside(http, labels("CampaignInstanceDown", "one"), late) == set()
        assert await silent_beside(http, labels("CampaignHoldOld"), late) == set()


async def test_the_cause_of_one_group_silences_no_other_group(tmp_path: Path) -> None:
    cause, late = labels("CampaignBrokersUnreachable"), labels("CampaignNormalEventsLate", "slow")
    async with alertmanager(tmp_path) as http:
        groups = [{**cause, "job": "sender", "group": "one"}, {**late, "job": "sender", "group": "other"}]
        (await http.post("alerts", json=[{"labels": each} for each in groups])).raise_for_status()
        found = (await http.get("alerts")).raise_for_status().json()
        assert [one["status"]["inhibitedBy"] for one in found] == [[], []]

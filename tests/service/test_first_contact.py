"""A wrong URL, key or field name, a refused key, a platform that is not there: nothing is burnt, and nothing lost."""

from pathlib import Path

import pytest

from consumer.demo.processes import free_port
from consumer.demo.surroundings import SCHEDULE_FIELD
from consumer.sandbox.client import SandboxClient
from consumer.sandbox.server import SEND_PATH, Sandbox
from tests.service.events import event, urgent, written
from tests.service.harness import Instance, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Written

CAMPAIGNS = (1, 2, 3)
CONTACTS = 4
"""For each campaign, and each in one send."""
PROBES = 3

QUICK_TO_STOP = {"API__TIMEOUT": "1s", "SHUTDOWN__GRACE": "7s"}  # 1 s to start requests in: what is refused, waits
FULL_WINDOWS = {"WINDOW__MAX_CONTACTS": str(CONTACTS), "WINDOW__DURATION": "60s"}


def _some_of_each() -> list[Written]:
    return [written(event(campaign, 10 * campaign + number)) for campaign in CAMPAIGNS for number in range(CONTACTS)]


async def _until_unready(service: Instance, why: str) -> None:
    async def unready() -> bool:
        answer = await service.get("/readyz")
        return answer.status_code == 503 and why in answer.text

    await eventually(unready, within_seconds=30.0, what=f"a word about {why} at /readyz")


@pytest.mark.parametrize(
    "setting, wrong, cure",
    [
        ("API__URL", "{base}/v2/sms/send/lists", "CAMPAIGN_API__URL"),
        ("API__SERVER_KEY", "another-key", "CAMPAIGN_API__SERVER_KEY"),
        ("API__FIELD_NAMES__CONTACTS", "recipients", "CAMPAIGN_API__FIELD_NAMES"),
    ],
)
async def test_a_wrong_url_key_or_field_name_burns_nothing_and_once_it_is_right_all_go_out_once(
    kafka: Cluster, tmp_path: Path, setting: str, wrong: str, cure: str
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        mistaken = {setting: wrong.format(base=stage.sandbox.base_url)}
        service = await stage.start({**QUICK_TO_STOP, **FULL_WINDOWS, **mistaken})
        places = await stage.publish(_some_of_each())
        await stage.ask.wait(requests=PROBES)
        await _until_unready(service, "API__URL")
        assert cure in (await service.until_logged("the platform does not let us in, probing"))["cure"]

        assert await service.stop() == 0
        await stage.results.catch_up()
        summary = await stage.ask.summary()
        assert (stage.results.at, summary.accepted) == ({}, 0)
        assert summary.max_in_flight == 1, "one real request at a time"
        assert summary.requests <= PROBES + 3, "with back-off"

        await stage.start(FULL_WINDOWS)
        results = await stage.results.until(places)

        assert {result["status"] for result in results} == {"accepted"}
        assert not any(result["possibleDuplicate"] for result in results)
        assert set((await stage.texts()).values()) == {1}
        await stage.account()


async def test_a_refused_campaign_does_not_keep_the_others_from_the_first_contact(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.ask.set_faults(
            {"fault": "refuse_campaign", "campaign": 1}, {"fault": "refuse_campaign", "campaign": 2}
        )
        await stage.start(FULL_WINDOWS)

        results = await stage.results.until(await stage.publish(_some_of_each()))

        outcomes = {(result["campaignId"], result["status"], result["reason"]) for result in results}
        refused = {(campaign, "rejected", "campaign_refused") for campaign in (1, 2)}
        assert outcomes == {*refused, (3, "accepted", None)}
        requests = await stage.ask.requests()
        accepted_at = next(seen.received_at for seen in requests if seen.accepted)
        assert min(result["completedAt"] for result in results if result["campaignId"] == 3) <= min(
            result["completedAt"] for result in results if result["campaignId"] != 3
        ), "nothing was settled before the first 2xx"
        assert len([seen for seen in requests if seen.received_at < accepted_at]) <= 2, "each had its turn"


async def test_a_refused_key_in_the_middle_stops_everything_and_burns_nothing(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start(FULL_WINDOWS)
        await stage.results.until(await stage.publish([written(urgent(9, 1))]))
        for status in (401, 403, 302):
            known = len(stage.results.at)
            seen = (await stage.ask.summary()).requests
            await stage.ask.set_faults({"fault": "status", "status": status, "name": "refused"})
            places = await stage.publish(_some_of_each())
            await stage.ask.wait(requests=seen + PROBES)
            await _until_unready(service, f"refuses us ({status})")
            assert (await service.status())["access"]["state"] == "stopped"
            await stage.results.catch_up()
            assert len(stage.results.at) == known

            await stage.ask.clear_faults()
            results = await stage.results.until(places)

            assert {result["status"] for result in results} == {"accepted"}
            assert not any(result["possibleDuplicate"] for result in results)
            assert (await service.get("/readyz")).status_code == 200
        assert set((await stage.texts()).values()) == {1}
        await stage.account()


async def test_a_key_that_may_not_send_one_campaign_stops_that_one_alone(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start(FULL_WINDOWS)
        await stage.results.until(await stage.publish([written(urgent(9, 1))]))
        await stage.ask.set_faults({"fault": "status", "status": 403, "campaign": 1})
        places = await stage.publish(_some_of_each())
        await stage.results.until(places[CONTACTS:])
        await service.until_logged("the platform refuses single campaigns")
        access = (await service.status())["access"]
        assert (access["state"], access["refused_campaigns"]) == ("open", ["1"])
        assert list(access["refused_seconds"]) == ["1"]
        ready = await service.get("/readyz")
        assert (ready.status_code, "refuses campaign 1," in ready.text) == (503, True)
        assert 'campaign_refused_campaign_seconds{campaign="1"}' in (await service.get("/metrics")).text
        await stage.results.catch_up()
        assert not stage.results.at.keys() & set(places[:CONTACTS])

        await stage.ask.clear_faults()

        assert {result["status"] for result in await stage.results.until(places)} == {"accepted"}
        assert (await service.get("/readyz")).status_code == 200
        assert set((await stage.texts()).values()) == {1}


async def test_a_platform_that_is_not_up_yet_is_waited_for(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        port = free_port()
        service = await stage.start({"API__URL": f"http://127.0.0.1:{port}{SEND_PATH}", **FULL_WINDOWS})
        places = await stage.publish(_some_of_each())
        put_back = await service.until_logged("send put back")
        assert put_back["reason"] == "unreachable"

        async with Sandbox(port=port, schedule_field=SCHEDULE_FIELD) as late, SandboxClient(late.url) as ask:
            results = await stage.results.until(places)
            texts = [contact.reference for contact in await ask.contacts()]

        assert {(result["status"], result["attempts"], result["possibleDuplicate"]) for result in results} == {
            ("accepted", 1, False)
        }
        assert sorted(texts, key=str) == sorted(result["eventId"] for result in results)

"""Holds and cancellations on Apache Kafka: obeyed by all instances, across kills, in every stage of an event."""

import asyncio
import json
from pathlib import Path
from typing import Any

from consumer.demo.processes import command_line
from tests.service.auditing import audited
from tests.service.events import event, id_of, urgent, written
from tests.service.harness import PATIENT, Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

ONE_AT_A_TIME = {**PATIENT, "DELIVERY__MAX_CONCURRENCY_PER_CAMPAIGN": "1", "WINDOW__DURATION": "100ms"}
HELD_CAMPAIGN, OTHER_CAMPAIGN = 421, 5


async def campaigns(stage: Stage, *arguments: str, fails: bool = False) -> str:
    """Run the command as an operator does; what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command_line("campaigns", *arguments),
        env=stage.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert bool(process.returncode) is fails, errors.decode()
    return output.decode()


async def hold(stage: Stage, *arguments: str) -> None:
    await campaigns(stage, "hold", *arguments, "--reason", "wrong template", "--operator", "anna")


async def texted(stage: Stage, campaign: int) -> int:
    return len(await stage.ask.contacts(campaign_id=campaign))


async def test_a_hold_survives_kill_9_and_ends_with_its_release(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start()
        await hold(stage, str(HELD_CAMPAIGN))
        await service.until_obeys(1)
        held = await stage.publish([written(urgent(HELD_CAMPAIGN, n)) for n in range(5)])
        await stage.results.until(await stage.publish([written(urgent(7, 1))]))
        await service.until_holds(5)
        await service.kill()

        service = await stage.start()
        await service.until_holds(5)
        (told,) = service.lines("campaign held")
        assert (told["campaign"], told["operator"], told["reason"]) == (HELD_CAMPAIGN, "anna", "wrong template")
        await stage.results.until(await stage.publish([written(urgent(7, 2))]))
        assert await texted(stage, HELD_CAMPAIGN) == 0
        (listed,) = json.loads(await campaigns(stage, "list", "--json"))["holds"]
        assert (await service.status())["holds"]["holds"] == [listed]

        await campaigns(stage, "release", str(HELD_CAMPAIGN))
        await stage.results.until(held)
        assert await texted(stage, HELD_CAMPAIGN) == 5
        assert service.lines("campaign released")
        assert await service.stop() == 0
        assert (await stage.account()).accepted == 7


async def test_two_instances_under_load_obey_within_two_seconds_and_the_others_go_on(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        first = await stage.start({"WINDOW__MAX_CONTACTS": "5"})
        second = await stage.start({"WINDOW__MAX_CONTACTS": "5"})
        await first.until_owns(1)
        await second.until_owns(1)
        await stage.ask.set_faults({"fault": "latency", "seconds": 0.05})

        enough = asyncio.Event()

        async def keep_busy() -> None:
            number = 0
            while not enough.is_set():
                number += 1
                events = [event(c, 100 * number + n) for n in range(40) for c in (OTHER_CAMPAIGN, HELD_CAMPAIGN)]
                places = await stage.publish([written(one, partition=n // 2 % 2) for n, one in enumerate(events)])
                await stage.results.until(places[::2])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_busy())
            await stage.ask.wait(accepted=200)
            await hold(stage, str(HELD_CAMPAIGN))
            await first.until_obeys(1)
            await second.until_obeys(1)
            held_at = await texted(stage, HELD_CAMPAIGN)
            before = await texted(stage, OTHER_CAMPAIGN)
            await stage.ask.wait(accepted=held_at + before + 400)
            enough.set()
        out = 2 * 8 * 5  # in flight when the hold came, on two instances
        assert held_at <= await texted(stage, HELD_CAMPAIGN) <= held_at + out
        assert await texted(stage, OTHER_CAMPAIGN) >= before + 400 - out
        assert (await audited(stage)).exit_code == 0, "no request of a held campaign"
        await campaigns(stage, "release", str(HELD_CAMPAIGN))
        await stage.results.until(stage.published)
        assert await first.stop() == await second.stop() == 0
        account = await stage.account()
        assert (account.accepted, account.repeats) == (len(stage.published), 0)


async def test_a_rejecting_hold_settles_what_waits_and_what_comes(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start({"WINDOW__DURATION": "60s"})
        waiting = await stage.publish([written(event(HELD_CAMPAIGN, n)) for n in range(5)])
        await service.until_holds(5)
        await hold(stage, str(HELD_CAMPAIGN), "--reject")
        await service.until_obeys(1)
        results = await stage.results.until([*waiting, *await stage.publish([written(urgent(HELD_CAMPAIGN, 9))])])
        assert {(result["status"], result["reason"]) for result in results} == {("rejected", "held")}
        assert await service.stop() == 0
        assert await texted(stage, HELD_CAMPAIGN) == 0


async def test_a_cancellation_settles_what_has_not_started_in_whatever_stage(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start({**ONE_AT_A_TIME, "WINDOW__DURATION": "60s", "WINDOW__MAX_CONTACTS": "2"})
        settled, unread = urgent(6, 1), urgent(6, 2)
        places = await stage.publish([written(settled)])
        await stage.results.until(places)
        await stage.ask.set_faults({"fault": "hold", "name": "out", "campaign": 6})
        in_flight = urgent(6, 3)
        places += await stage.publish([written(in_flight)])
        await stage.ask.wait(in_flight=1)
        queued, retried, in_window = urgent(6, 4), urgent(8, 5), event(7, 6)
        await stage.ask.add_faults(
            {"fault": "status", "status": 429, "retryAfterSeconds": 60, "campaign": 8, "name": "later"}
        )
        places += await stage.publish([written(content) for content in (queued, retried, in_window)])
        await service.until_holds(4)
        chosen = [id_of(one) for one in (settled, in_flight, queued, retried, in_window)]
        named = [argument for event_id in chosen for argument in ("--event", event_id)]
        said = await campaigns(stage, "cancel", *named, "--reason", "by mistake", "--wait", "5", "--json", fails=True)
        document: dict[str, Any] = json.loads(said)
        assert document["pending"] == [id_of(in_flight)]
        became = {one["eventId"]: one["status"] for one in document["outcomes"]}
        assert became == {
            id_of(settled): "accepted",
            id_of(queued): "cancelled",
            id_of(retried): "cancelled",
            id_of(in_window): "cancelled",
        }
        await stage.ask.clear_faults()
        results = await stage.results.until(places)
        assert [result["status"] for result in results] == ["accepted", "accepted", *["cancelled"] * 3]
        assert [result["attempts"] for result in results] == [1, 1, 0, 1, 0]
        assert await service.stop() == 0

        (place,) = await stage.publish([written(unread)])
        await campaigns(stage, "cancel", "--event", id_of(unread), "--reason", "by mistake")
        resent = await stage.publish([written(unread, headers=[("resend-id", b"r-1")])])
        service = await stage.start()
        first, again = await stage.results.until([place, *resent])
        assert (first["status"], first["reason"], again["status"]) == ("cancelled", "operator", "accepted")
        assert await service.stop() == 0


async def test_a_control_topic_that_is_gone_stops_requests_and_says_so(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.topics.delete(stage.control)

        async def says_so() -> bool:
            reasons = (await service.get("/readyz")).json()["reasons"]
            return any("control topic cannot be read" in reason for reason in reasons)

        await eventually(says_so, within_seconds=60, what="/readyz names the control topic")
        waiting = await stage.publish([written(urgent(6, 2))])
        await service.until_holds(1)
        await stage.topics.create_named(stage.control, settings={"cleanup.policy": "compact"})
        await service.until_ready()
        await stage.results.until(waiting)
        assert await service.stop() == 0

"""Stops, kills and changes of owner in the middle of the work: nothing is lost, and every double is known."""

import asyncio
from pathlib import Path

import pytest

from consumer.demo.arithmetic import RecordPlace
from tests.service.events import event, id_of, urgent, written
from tests.service.harness import PATIENT, Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.records import Written

GRACE_SECONDS = 20
IN_FLIGHT = 4
CONTACTS = 50
"""Contacts in each send of the campaign whose requests are caught in flight."""
SENDS = 8

CAUGHT = {
    "DELIVERY__MAX_CONCURRENCY": str(IN_FLIGHT),
    "DELIVERY__RESERVED_CONCURRENCY": "0",
    "WINDOW__MAX_CONTACTS": str(CONTACTS),
    "WINDOW__DURATION": "60s",  # closed by their count alone
}
LOAD = {
    "DELIVERY__MAX_CONCURRENCY": "4",
    "DELIVERY__RESERVED_CONCURRENCY": "0",
    "WINDOW__MAX_CONTACTS": "20",
    "SHUTDOWN__GRACE": f"{GRACE_SECONDS}s",
}
SLOW = {"fault": "latency", "seconds": 0.05}
"""Four requests at a time, twenty a second each: 1,600 contacts a second at most."""
ROUGH = (
    {"fault": "status", "status": 503, "probability": 0.1, "seed": 1},
    {"fault": "status", "status": 500, "accept": True, "probability": 0.05, "seed": 2},
    {"fault": "reset", "accept": True, "probability": 0.05, "seed": 3},
    {"fault": "reset", "accept": False, "probability": 0.05, "seed": 4},
    {"fault": "status", "status": 422, "probability": 0.05, "seed": 5},
    {"fault": "item_errors", "probability": 0.05, "seed": 6},
    {"fault": "status", "status": 401, "probability": 0.02, "seed": 7},
)
"""A platform that answers in every way, often enough that each kill finds all of them under way."""


def load(count: int, *, partitions: int, after: int = 0) -> list[Written]:
    """Events of four campaigns, each for a person of its own, spread over the partitions."""
    return [
        written(event(11 + number % 4, 100_000 + number), partition=number % partitions, key=b"customer-%d" % number)
        for number in range(after, after + count)
    ]


async def keep_busy(stage: Stage, enough: asyncio.Event) -> None:
    """Publish more whenever the platform has had most of it, until it is enough."""
    while not enough.is_set():
        published = len(stage.published)
        await stage.publish(load(500, partitions=stage.partitions, after=published))
        await stage.ask.wait(accepted=published)


async def _until_in_flight(stage: Stage, settings: dict[str, str]) -> tuple[list[RecordPlace], set[str]]:
    """Start an instance and publish eight sends; four of them are with the platform, unanswered, on return.

    Returns where the events stand, and the IDs of those that are out.
    """
    await stage.start({**CAUGHT, **PATIENT, **settings})
    await stage.results.until(await stage.publish([written(urgent(6, 1))]))
    (before,) = await stage.ask.requests()
    await stage.ask.set_faults({"fault": "hold", "name": "caught"})
    events = [event(7, number) for number in range(SENDS * CONTACTS)]
    places = await stage.publish([written(content, partition=i % 2) for i, content in enumerate(events)])
    await stage.ask.wait(in_flight=IN_FLIGHT)
    out = {contact.reference or "" for contact in await stage.ask.contacts(after_request_id=before.request_id)}
    assert len(out) == IN_FLIGHT * CONTACTS
    assert out < {id_of(content) for content in events}
    return places, out


async def test_kill_9_with_requests_out_repeats_those_alone_and_marks_every_one_with_resend(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        settings = {"KAFKA__GROUP_INSTANCE_ID": "consumer-0"}  # its seat is kept for it: no session has to run out
        places, out = await _until_in_flight(stage, settings)
        await stage.instances[0].kill()
        await stage.ask.clear_faults()

        await stage.start({**CAUGHT, **settings, "WINDOW__DURATION": "200ms"})
        results = await stage.results.until(places)

        assert {result["status"] for result in results} == {"accepted"}
        assert {result["eventId"] for result in results if result["possibleDuplicate"]} == out
        assert {result["eventId"] for result in results if result["attempts"] == 2} == out
        texts = await stage.texts()
        assert {reference for reference, count in texts.items() if count > 1} == out
        account = await stage.account()
        assert (account.repeats, account.marked) == (len(out), len(out))


async def test_kill_9_with_requests_out_doubles_nobody_and_says_who_is_in_doubt_with_hold(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        settings = {"DELIVERY__ON_UNKNOWN_OUTCOME": "hold", "KAFKA__SESSION_TIMEOUT": "4s"}
        places, out = await _until_in_flight(stage, settings)
        await stage.instances[0].kill()
        await stage.ask.clear_faults()

        await stage.start({**CAUGHT, **settings, "WINDOW__DURATION": "200ms"})
        results = await stage.results.until(places)

        doubted = [result for result in results if result["status"] == "in_doubt"]
        assert {result["eventId"] for result in doubted} == out
        assert {(result["reason"], result["attempts"]) for result in doubted} == {("owner_lost", 1)}
        assert {result["status"] for result in results if result["eventId"] not in out} == {"accepted"}
        assert not any(result["possibleDuplicate"] for result in results)
        assert set((await stage.texts()).values()) == {1}
        assert (await stage.account()).in_doubt_texted == len(out)


@pytest.mark.parametrize("policy", ["resend", "hold"])
async def test_kill_9_again_and_again_before_a_rough_platform_loses_nothing_and_marks_every_double(
    kafka: Cluster, tmp_path: Path, policy: str
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        settings = {**LOAD, "DELIVERY__ON_UNKNOWN_OUTCOME": policy, "KAFKA__GROUP_INSTANCE_ID": "consumer-0"}
        await stage.ask.set_faults(SLOW, *ROUGH)
        await stage.publish(load(2_000, partitions=2))
        for texted in (300, 600, 900):
            instance = await stage.launch(settings)
            await stage.ask.wait(accepted=texted)
            await instance.kill()
        await stage.results.catch_up()
        assert len(stage.results.at) < 2_000, "the last kill came in the middle, too"
        await stage.start(settings)
        await stage.results.until_count(2_000)

        account = await stage.account()
        assert (await stage.ask.summary()).duplicates == 0
        if policy == "hold":
            assert account.repeats == account.marked == 0
            assert set((await stage.texts()).values()) == {1}
        else:
            assert account.repeats > 0


async def test_sigterm_under_load_ends_within_the_grace_and_the_next_start_goes_on_without_a_double(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        await stage.ask.set_faults(SLOW)
        timeout_seconds = GRACE_SECONDS - 6  # and 5 s to settle: 1 s of the grace is left to start requests in
        first = await stage.start({**LOAD, "API__TIMEOUT": f"{timeout_seconds}s"})
        await stage.publish(load(3_000, partitions=2))
        await stage.ask.wait(accepted=200)
        async with asyncio.timeout(GRACE_SECONDS):
            assert await first.stop() == 0
        await stage.results.catch_up()
        assert 200 <= len(stage.results.at) < 3_000
        texted = (await stage.ask.summary()).accepted
        assert texted == len(stage.results.at), "nothing is out: whoever was texted has a result"

        await stage.start(LOAD)
        await stage.results.until_count(3_000)

        account = await stage.account()
        assert account.by_status == {"accepted": 3_000}
        assert account.repeats == account.marked == account.results_published_again == 0


async def test_an_instance_may_join_and_leave_under_load_and_nobody_is_texted_twice(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=4) as stage:
        await stage.ask.set_faults(SLOW)
        stays = await stage.start(LOAD)
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_busy(stage, enough))
            await stage.ask.wait(accepted=100)
            comes = await stage.start(LOAD)
            await comes.until_owns(2)
            await comes.until_settled(200)
            assert await comes.stop() == 0
            await stays.until_owns(4)
            enough.set()
        await stage.results.until(stage.published)

        assert await stays.stop() == 0
        account = await stage.account()
        assert account.by_status == {"accepted": len(stage.published)}
        assert account.repeats == account.marked == account.results_published_again == 0


async def test_who_follows_a_killed_one_is_not_ready_before_the_group_gives_it_the_partitions(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        await (await stage.start()).kill()
        follows = await stage.start()  # until it is ready; the group waits for the one that was killed
        (assigned,) = follows.lines("partitions assigned")
        assert len(assigned["partitions"]) == 2

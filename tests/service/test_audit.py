"""The audit, after the real service at its worst: proven; after a forgery: not, with coordinates."""

from pathlib import Path

import orjson

from consumer.demo.arithmetic import RecordPlace
from tests.service.auditing import audited
from tests.service.events import event, urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.test_restarts import LOAD, ROUGH, SLOW
from tests.support.cluster import Cluster
from tests.support.records import Written, write


async def _forge(stage: Stage, place: RecordPlace, **changed: object) -> None:
    """Publish a record's result again, with other words in it."""
    forged = {**stage.results.at[place], **changed}
    record = Written(value=orjson.dumps(forged), key=stage.results.keys[place], partition=place.partition)
    await write(stage.kafka.bootstrap_servers, stage.results_topic, [record])


async def test_kills_before_a_rough_platform_leave_nothing_that_is_not_proven(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        settings = {**LOAD, "KAFKA__GROUP_INSTANCE_ID": "consumer-0"}
        await stage.ask.set_faults(SLOW, *ROUGH)
        await stage.publish_generated(2_000)
        for texted in (300, 600):
            instance = await stage.launch(settings)
            await stage.ask.wait(accepted=texted)
            await instance.kill()
        last = await stage.start(settings)
        while_it_works = await audited(stage, "--json")
        await stage.results.until_count(2_000)
        assert await last.stop() == 0

        afterwards = await audited(stage, "--json", "--complete")

        assert while_it_works.violations == afterwards.violations == set()
        assert (while_it_works.exit_code, afterwards.exit_code) == (0, 0)
        account = await stage.account()
        assert afterwards.sum_of("records") == afterwards.sum_of("outcomes") == afterwards.sum_of("results") == 2_000
        assert afterwards.sum_of("republished") == account.results_published_again
        assert afterwards.sum_of("pending") == 0
        unknown = sum(partition["unknown"]["count"] for partition in afterwards.report["partitions"])
        assert unknown == account.marked + account.by_status.get("in_doubt", 0) > 0
        for_people = await audited(stage)
        assert for_people.exit_code == 0
        assert "Proven for 2,000 records." in for_people.output


async def test_a_forgery_is_found_and_named_with_its_coordinates(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        instance = await stage.start()
        first = urgent(7, 1)
        places = await stage.publish([written(first), *(written(event(7, number)) for number in range(2, 10))])
        places += await stage.publish([written(first), written(b"no event"), written(urgent(8, 1), partition=1)])
        await stage.results.until(places)
        assert await instance.stop() == 0
        assert (await audited(stage, "--json", "--complete")).exit_code == 0

        changed, unmarked, other = places[0], places[3], places[-1]
        await _forge(stage, changed, status="rejected", reason="contact_refused")
        await _forge(stage, unmarked, possibleDuplicate=True)
        await _forge(stage, other, source={"topic": stage.events, "partition": 1, "offset": 77})
        await write(stage.kafka.bootstrap_servers, stage.events, [written(event(7, 11), partition=1)])

        found = await audited(stage, "--json", "--complete")
        for_people = await audited(stage)

        assert found.exit_code == for_people.exit_code == 1
        assert found.violations == {
            ("two_contents", stage.events, *changed),
            ("two_contents", stage.events, *unmarked),
            ("result_without_record", stage.events, 1, 77),
            ("unfinished", stage.events, 1, 1),
        }
        assert f"{stage.events}:{changed.partition}:{changed.offset}" in for_people.output


async def test_events_that_give_way_to_one_another_are_proven(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        settings = {
            "CAMPAIGNS__7__DELIVERY__SAME_CONTACT": "keep_latest",
            "CAMPAIGNS__8__DELIVERY__SAME_CONTACT": "keep_first",
            "WINDOW__DURATION": "1s",
        }
        instance = await stage.start(settings)
        people = [written(event(campaign, person)) for _ in range(3) for campaign in (7, 8) for person in range(10)]
        places = await stage.publish(people)
        results = await stage.results.until(places)
        assert await instance.stop() == 0
        gave_way = {(one["campaignId"], one["reason"]) for one in results if one["status"] == "superseded"}
        assert gave_way == {(7, "newer_event"), (8, "older_event")}
        assert (await audited(stage, "--complete")).exit_code == 0


async def test_questions_that_cannot_be_asked_end_with_2_and_name_the_cure(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        for arguments, words in (
            (
                ("--topic", "elsewhere"),
                "--topic elsewhere: CAMPAIGN_KAFKA__EVENTS_TOPICS and CAMPAIGN_KAFKA__URGENT_TOPICS have no such topic",
            ),
            (("--partition", "3"), f"--partition: topic '{stage.events}' has 1 partitions, no 3"),
            (("--from", "yesterday"), "'yesterday' is neither an offset nor an instant"),
        ):
            refused = await audited(stage, *arguments)
            assert refused.exit_code == 2
            assert words in refused.errors
            assert not refused.output

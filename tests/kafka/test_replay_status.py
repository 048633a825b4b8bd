"""What became of a resend is told record by record, from its first record to its last outcome."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from consumer.edge.kafka.reading.whole_logs import WholeLogs
from consumer.replay.status import ResendStanding
from tests.kafka.resends import event, originals
from tests.kafka.support import connection_to
from tests.support.cluster import Cluster
from tests.support.plans import ended, plan_of_all, replay, saved, started
from tests.support.records import Written, write
from tests.support.topics import Topics

RESEND = "replay-0123456789abcdef0123456789abcdef"
MARK = [("resend-id", RESEND.encode()), ("resend-reason", b"r"), ("resend-operator", b"o")]


def result(topic: str, place: tuple[int, int], status: str, *, resend_id: str = RESEND, campaign: int = 421) -> Written:
    source = {"topic": topic, "partition": place[0], "offset": place[1]}
    content: dict[str, Any] = {"status": status, "eventId": "e", "campaignId": campaign, "resendId": resend_id}
    return Written(value=orjson.dumps({**content, "source": source}), partition=place[0])


def resent(number: int, **changes: Any) -> Written:
    return Written(value=event(number, **changes), headers=MARK, partition=number % 2)


async def test_records_and_outcomes_are_counted_once_by_campaign_and_status_whichever_comes_first(
    kafka: Cluster, topics: Topics
) -> None:
    topic, results = await originals(kafka, topics, count=4)
    servers = kafka.bootstrap_servers
    places = await write(
        servers, topic, [resent(0), resent(1), resent(2, campaignId=7), resent(3, campaignId=None), Written(value=b"-")]
    )
    standing = ResendStanding(
        resend_id=RESEND, results=results, starts={(topic, 0): 2, (topic, 1): 2}, results_starts={0: 0, 1: 0}
    )
    logs = WholeLogs(connection_to(kafka), group="nobody", on_trouble=lambda _why: None)
    try:
        await standing.look(logs)
        assert (standing.records, standing.pending, standing.results) == (4, 4, {})
        told = [
            result(topic, places[0], "accepted"),
            result(topic, places[0], "accepted"),  # published again, as results may be
            result(topic, places[1], "failed", resend_id="replay-theirs"),
            result(topic, places[2], "failed"),
            result(topic, (0, 0), "failed"),  # of the original
            Written(value=b"no result", partition=0),
        ]
        await write(servers, results, told)
        await standing.look(logs)
        assert (standing.records, standing.pending, standing.results) == (4, 2, {"accepted": 1, "failed": 1})
        assert standing.by_campaign() == {7: {"failed": 1}, 421: {"": 1, "accepted": 1}, None: {"": 1}}

        behind = max(offset for number, offset in places if number == 0) + 2
        await write(servers, results, [result(topic, (0, behind), "rejected")])  # it is known before its record is read
        await standing.look(logs)
        assert (standing.records, standing.pending) == (4, 2)
        assert await write(servers, topic, [Written(value=b"-", partition=0), resent(4)]) == [
            (0, behind - 1), (0, behind),
        ]  # fmt: skip
        await standing.look(logs)
        assert standing.report() == {
            "resendId": RESEND, "records": 5, "pending": 2, "results": {"accepted": 1, "rejected": 1, "failed": 1},
        }  # fmt: skip
    finally:
        await logs.stop()


async def test_waiting_ends_with_the_last_outcome_also_of_a_plan_of_which_nothing_is_published_yet(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, count=2)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    waiting = await started(kafka, "status", file, "--wait", "--json")
    assert (await replay(kafka, "run", file, "--yes")).code == 0
    assert waiting.returncode is None
    told = [result(topic, (number, 1), "accepted", resend_id=plan.resend_id) for number in (0, 1)]
    await write(kafka.bootstrap_servers, results, told)
    done = await ended(waiting)
    assert (done.code, orjson.loads(done.said)) == (
        0, {"resendId": plan.resend_id, "records": 2, "pending": 0, "results": {"accepted": 2}},
    )  # fmt: skip


async def test_an_id_alone_finds_its_records_and_their_results_and_one_that_nobody_knows_is_said_to_be_none(
    kafka: Cluster, topics: Topics
) -> None:
    topic, results = await originals(kafka, topics, count=2)
    settings = {"CAMPAIGN_KAFKA__EVENTS_TOPICS": topic, "CAMPAIGN_KAFKA__RESULTS_TOPIC": results}
    places = await write(kafka.bootstrap_servers, topic, [resent(0), resent(1)])
    await write(kafka.bootstrap_servers, results, [result(topic, places[1], "expired")])
    found = await replay(kafka, "status", RESEND, "--json", settings=settings)
    assert orjson.loads(found.said) == {"resendId": RESEND, "records": 2, "pending": 1, "results": {"expired": 1}}
    nobody = await replay(kafka, "status", "replay-nobody", "--wait", settings=settings)
    assert (nobody.code, nobody.said) == (1, "")
    assert nobody.complained.startswith(f"no record of replay-nobody stands in {topic}")


async def test_the_table_is_for_people(kafka: Cluster, topics: Topics) -> None:
    topic, results = await originals(kafka, topics, count=2)
    settings = {"CAMPAIGN_KAFKA__EVENTS_TOPICS": topic, "CAMPAIGN_KAFKA__RESULTS_TOPIC": results, "COLUMNS": "80"}
    places = await write(kafka.bootstrap_servers, topic, [resent(0), resent(1), resent(2, campaignId=7)])
    await write(kafka.bootstrap_servers, results, [result(topic, places[0], "accepted")])
    table = (await replay(kafka, "status", RESEND, settings=settings)).said.splitlines()
    assert [line.split() for line in table if line.strip() and set(line.strip()) != {"─"}] == [
        [RESEND],
        ["campaign", "records", "accepted", "pending"],
        ["421", "2", "1", "1"],
        ["7", "1", "0", "1"],
        ["total", "3", "1", "2"],
        ["2", "pending"],
    ]


async def test_what_of_a_plan_is_not_published_is_said_and_outcomes_are_found_where_the_results_topic_has_grown(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=3)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    ours = Written(value=event(0), key=None, headers=[("resend-id", plan.resend_id.encode())])
    places = await write(kafka.bootstrap_servers, topic, [ours])
    await topics.grow(results, partitions=2)
    told = result(topic, places[0], "accepted", resend_id=plan.resend_id)
    await write(kafka.bootstrap_servers, results, [replace(told, partition=1)])
    shown = (await replay(kafka, "status", file, "--wait")).said
    assert "each of its records has an outcome\n" in shown
    assert "2 of the plan's 3 records are not published" in " ".join(shown.split())

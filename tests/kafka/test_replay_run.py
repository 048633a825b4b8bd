"""A plan's records are published once, whatever is killed, run twice, run beside itself, or restarted meanwhile."""

import asyncio
import os
import signal
from pathlib import Path

import orjson
import pytest

from consumer.demo.apache_kafka import ApacheKafka
from consumer.replay.document import Plan
from tests.kafka.resends import COUNT, RUN, committed, event, originals, resends, run_here, until_published
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.kafka_proxy import Api, KafkaProxy, What
from tests.support.plans import ended, plan_of_all, replay, saved, started
from tests.support.records import Written, write
from tests.support.topics import Topics

RATE = ("--yes", "--json", "--rate", "200")
"""In twenty transactions, within 5 s."""
SLOW = ("--yes", "--json", "--rate", "10")
"""It does not come to its end by itself."""


async def assert_once(kafka: Cluster, topic: str, plan: Plan, *, count: int = COUNT) -> None:
    """Each record of the topic stands there once more, in its order, in its partition, as it was."""
    stands = await committed(kafka, topic)
    again = resends(stands, plan)
    first = [record for record in stands if record not in again]
    assert len(first) == len(again) == count
    assert [(one.partition, one.key, one.value, one.headers) for one in first] == [
        (one.partition, one.key, one.value, one.headers[:-3]) for one in again
    ]
    assert {one.headers[-3:] for one in again} == {
        (("resend-id", plan.resend_id.encode()), ("resend-reason", b"outage"), ("resend-operator", b"ana"))
    }


async def test_every_record_is_published_once_as_it_was_and_a_second_run_publishes_none(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    first = await replay(kafka, "run", file, *RUN, "--json", given=b"1,000\n")
    again = await replay(kafka, "run", file, *RUN, "--json")
    assert (first.code, orjson.loads(first.said)) == (
        0, {"resendId": plan.resend_id, "published": COUNT, "alreadyPublished": 0, "leftOut": 0},
    )  # fmt: skip
    assert (again.code, orjson.loads(again.said)) == (
        0, {"resendId": plan.resend_id, "published": 0, "alreadyPublished": COUNT, "leftOut": 0},
    )  # fmt: skip
    await assert_once(kafka, topic, plan)


@pytest.mark.parametrize("percent", [10, 50, 90])
async def test_a_killed_run_is_run_again_and_goes_on_where_it_was(
    kafka: Cluster, topics: Topics, tmp_path: Path, percent: int
) -> None:
    topic, results = await originals(kafka, topics)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    killed = await started(kafka, "run", file, *RUN, *RATE)

    await until_published(kafka, plan, COUNT * percent // 100)
    killed.kill()
    assert (await ended(killed)).code == -signal.SIGKILL
    again = await replay(kafka, "run", file, *RUN, *RATE)
    assert again.code == 0, again.complained
    report = orjson.loads(again.said)
    assert report["published"] + report["alreadyPublished"] == COUNT
    assert abs(report["alreadyPublished"] - COUNT * percent / 100) <= COUNT / 10
    await assert_once(kafka, topic, plan)


async def test_of_two_runs_at_once_the_later_one_goes_on_and_the_earlier_one_ends_with_a_line(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    earlier = await started(kafka, "run", file, *RUN, *SLOW)

    await until_published(kafka, plan, 1)
    later = await replay(kafka, "run", file, *RUN, "--yes", "--json")
    fenced = await ended(earlier)
    assert (later.code, fenced.code) == (0, 1), (later.complained, fenced.complained)
    assert fenced.said == ""
    assert "Traceback" not in fenced.complained, fenced.complained
    assert fenced.complained.splitlines()[-1].startswith("another run of this plan has taken over")
    assert 0 < orjson.loads(later.said)["alreadyPublished"] < COUNT
    await assert_once(kafka, topic, plan)


async def test_a_broker_that_is_restarted_meanwhile_holds_the_run_up_and_no_more(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with Topics(breakable.bootstrap_servers) as topics:
        topic, results = await originals(breakable, topics)
        plan = await plan_of_all(breakable, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    run = await started(breakable, "run", file, *RUN, *RATE)

    await until_published(breakable, plan, 1)
    await breakable.kill_broker(1)
    await breakable.start_broker(1)
    done = await ended(run)
    assert done.code == 0, done.complained
    assert orjson.loads(done.said)["published"] == COUNT
    await assert_once(breakable, topic, plan)


@pytest.mark.parametrize("what", list(What))
async def test_a_transaction_of_which_nobody_hears_whether_it_was_committed_is_looked_for_before_anything_goes_on(
    breakable: ApacheKafka, proxy: KafkaProxy, monkeypatch: pytest.MonkeyPatch, what: What
) -> None:
    async with Topics(breakable.bootstrap_servers) as topics:
        topic, results = await originals(breakable, topics, count=100)
    plan = await plan_of_all(breakable, topic, results)
    monkeypatch.setattr("consumer.edge.kafka.transactions.PUBLISH_SECONDS", 3.0)
    monkeypatch.setattr("consumer.edge.kafka.transactions.END_SECONDS", 0.1)
    monkeypatch.setattr("consumer.replay.publishing.CHUNK_RECORDS", 10)
    heard: list[str] = []

    async def looking() -> bool:
        return any("looking what stands there" in line for line in heard)

    hold = proxy.hold(what, lambda question: question.says(Api.END_TRANSACTION, plan.resend_id))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run_here(breakable, plan, heard=heard, through=proxy.address))
        await hold.struck.wait()
        await eventually(looking, within_seconds=30, what="it is given up")
        proxy.release()
    assert running.result() == (100, 0, 0)
    again = resends(await committed(breakable, topic), plan)
    assert sorted(record.value for record in again) == sorted(event(number) for number in range(100))


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 1)])
async def test_stopped_by_hand_it_leaves_nothing_open_and_can_be_run_again(
    kafka: Cluster, topics: Topics, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    topic, results = await originals(kafka, topics)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    run = await started(kafka, "run", file, *RUN, *SLOW)

    await until_published(kafka, plan, 1)
    os.kill(run.pid, sent)
    stopped = await ended(run)
    assert (stopped.code, "Traceback" in stopped.complained) == (code, False)
    assert "run it again" in stopped.complained
    await write(kafka.bootstrap_servers, topic, [Written(value=b"behind", partition=number) for number in (0, 1)])
    assert [record.value for record in await committed(kafka, topic)].count(
        b"behind"
    ) == 2  # nobody waits for a time-out
    assert (await replay(kafka, "run", file, *RUN, "--yes")).code == 0
    assert len(resends(await committed(kafka, topic), plan)) == COUNT

"""What a run refuses, leaves out, waits for and asks: nobody is texted by mistake."""

import asyncio
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from consumer.replay.tail import HeldUpError
from schemas.instants import instant_of
from tests.kafka.resends import RUN, committed, event, originals, resends, run_here
from tests.kafka.support import delete_records
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.plans import ended, plan_of_all, replay, saved, started
from tests.support.records import Written, write
from tests.support.topics import Topics


async def test_a_plan_whose_records_changed_or_are_gone_is_refused_and_nothing_is_published(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=10)
    plan = await plan_of_all(kafka, topic, results)
    file = str(saved(plan, tmp_path / "plan.json"))
    other = await plan_of_all(kafka, topic, results, digest=lambda offset: offset)
    changed = await replay(kafka, "run", str(saved(other, tmp_path / "other.json")), *RUN, "--yes")
    assert (changed.code, changed.said) == (1, "")
    assert changed.complained == (
        f"the record at {topic}:0:0 is not the one that was planned: plan again; nothing was published\n"
    )
    await delete_records(kafka, topic, before=3)
    gone = await replay(kafka, "run", file, *RUN, "--yes")
    assert (gone.code, gone.said) == (1, "")
    assert gone.complained == f"the record at {topic}:0:0 is gone: plan again; nothing was published\n"
    assert len(await committed(kafka, topic)) == 7


async def test_a_plan_of_another_cluster_or_one_that_was_edited_is_refused(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=3)
    elsewhere = await plan_of_all(kafka, topic, results, cluster_id="another")
    ran = await replay(kafka, "run", str(saved(elsewhere, tmp_path / "elsewhere.json")), *RUN, "--yes")
    assert ran.code == 1
    assert "the plan was made on the cluster another, and this is " in ran.complained
    file = saved(await plan_of_all(kafka, topic, results), tmp_path / "plan.json")
    file.write_bytes(file.read_bytes().replace(b'"wouldSend": 3', b'"wouldSend": 2'))
    ran = await replay(kafka, "run", str(file), *RUN, "--yes")
    assert (ran.code, ran.said) == (1, "")
    assert "the plan is not as it was made" in ran.complained
    ran = await replay(kafka, "run", str(tmp_path / "none.json"), *RUN, "--yes")
    assert (ran.code, ran.complained) == (2, f"{tmp_path / 'none.json'} cannot be read: No such file or directory\n")
    assert len(await committed(kafka, topic)) == 3


async def test_the_number_of_texts_has_to_be_typed_and_a_dry_run_asks_nothing(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=3)
    file = str(saved(await plan_of_all(kafka, topic, results), tmp_path / "plan.json"))
    wrong = await replay(kafka, "run", file, given=b"30\n")
    nobody = await replay(kafka, "run", file)
    dry = await replay(kafka, "run", file, "--dry-run")
    assert (wrong.code, wrong.said) == (1, "")
    assert wrong.complained.endswith(": that was not 3; nothing was published\n")
    assert (nobody.code, nobody.said) == (1, "")
    assert "nobody typed the number of texts (--yes for scripts); nothing was published" in nobody.complained
    assert (dry.code, dry.said) == (0, "dry run: 3 records would be published, and none was\n")
    assert len(await committed(kafka, topic)) == 3


async def test_people_who_had_the_text_get_it_again_only_with_a_reason(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=3)
    plan = await plan_of_all(kafka, topic, results, include_accepted=True)
    file = str(saved(plan, tmp_path / "plan.json"))
    refused = await replay(kafka, "run", file, "--yes")
    assert (refused.code, refused.said) == (2, "")
    assert "say why with --reason" in refused.complained
    assert (await replay(kafka, "run", file, "--yes", "--reason", "wrong template")).code == 0
    again = resends(await committed(kafka, topic), plan)
    assert {dict(record.headers)["resend-reason"] for record in again} == {b"wrong template"}


async def test_a_new_deadline_counts_from_publication_and_stands_in_a_header(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=3)
    plan = await plan_of_all(kafka, topic, results, extended=True, extend_expiry_seconds=600.0)
    assert (await replay(kafka, "run", str(saved(plan, tmp_path / "plan.json")), "--yes")).code == 0
    for record in resends(await committed(kafka, topic), plan):
        name, value = record.headers[-1]
        assert name == "resend-expires-at"
        assert abs(instant_of(value.decode()) - 600.0 - record.timestamp / 1000) < 5.0
    assert (await replay(kafka, "run", str(tmp_path / "plan.json"), "--yes")).said == "nothing is left to do\n"


def result(event_id: str, status: str, *, topic: str, offset: int, resend_id: str | None) -> bytes:
    source = {"topic": topic, "partition": 0, "offset": offset}
    return orjson.dumps({"eventId": event_id, "status": status, "resendId": resend_id, "source": source})


async def test_whom_another_resend_has_reached_meanwhile_is_left_out_and_whoever_is_on_the_way_is_waited_for(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=4)
    plan = await plan_of_all(kafka, topic, results)
    theirs = [("resend-id", b"replay-theirs")]
    places = await write(
        kafka.bootstrap_servers, topic, [Written(value=event(number), headers=theirs) for number in range(3)]
    )
    told = [
        result(f"e-{number}", status, topic=topic, offset=offset, resend_id="replay-theirs")
        for number, ((_, offset), status) in enumerate(zip(places, ["accepted", "failed", "accepted"], strict=True))
    ]
    await write(kafka.bootstrap_servers, results, [Written(value=value) for value in told[:2]])
    file = str(saved(plan, tmp_path / "plan.json"))
    run = await started(kafka, "run", file, *RUN, "--yes", "--json")
    said = await run.stderr.readuntil(b"on their way already") if run.stderr is not None else b""
    assert said.splitlines()[-1].startswith(b"1 of these events")
    await write(kafka.bootstrap_servers, results, [Written(value=told[2])])
    done = await ended(run)
    assert (done.code, orjson.loads(done.said)) == (
        0, {"resendId": plan.resend_id, "published": 2, "alreadyPublished": 0, "leftOut": 2},
    )  # fmt: skip
    assert [record.value for record in resends(await committed(kafka, topic), plan)] == [event(1), event(3)]


async def test_what_is_still_on_its_way_after_the_bound_is_left_out_and_a_later_run_publishes_it_once(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.replay.run.UNSETTLED_SECONDS", 0.0)
    topic, results = await originals(kafka, topics, partitions=1, count=4)
    plan = await plan_of_all(kafka, topic, results)
    [(_, offset)] = await write(
        kafka.bootstrap_servers, topic, [Written(value=event(1), headers=[("resend-id", b"replay-theirs")])]
    )
    assert await run_here(kafka, plan) == (3, 0, 1)
    failed = result("e-1", "failed", topic=topic, offset=offset, resend_id="replay-theirs")
    await write(kafka.bootstrap_servers, results, [Written(value=failed)])
    assert await run_here(kafka, plan) == (1, 3, 0)
    assert await run_here(kafka, plan) == (0, 4, 0)
    again = resends(await committed(kafka, topic), plan)
    assert [record.value for record in again] == [event(0), event(2), event(3), event(1)]


async def test_what_sets_out_while_somebody_thinks_about_the_number_is_waited_for_as_well(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=4)
    file = str(saved(await plan_of_all(kafka, topic, results), tmp_path / "plan.json"))
    run = await started(kafka, "run", file, "--json")
    assert run.stderr is not None
    assert run.stdin is not None
    await run.stderr.readuntil(b"Type the number")
    theirs = Written(value=event(1), headers=[("resend-id", b"replay-theirs")])
    [(_, offset)] = await write(kafka.bootstrap_servers, topic, [theirs])
    run.stdin.write(b"4\n")
    assert b": 1 of these events" in await run.stderr.readuntil(b"on their way already")
    accepted = result("e-1", "accepted", topic=topic, offset=offset, resend_id="replay-theirs")
    await write(kafka.bootstrap_servers, results, [Written(value=accepted)])
    done = await ended(run)
    report = orjson.loads(done.said)
    assert (done.code, report["published"], report["leftOut"]) == (0, 3, 1)
    assert "\n1 more left out: " in done.complained


async def test_a_topic_that_is_made_anew_while_somebody_thinks_about_the_number_is_not_published_from(
    kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=2)
    run = await started(kafka, "run", str(saved(await plan_of_all(kafka, topic, results), tmp_path / "plan.json")))
    assert run.stderr is not None
    await run.stderr.readuntil(b"Type the number")
    await topics.delete(topic)
    await topics.create_named(topic)
    others = [Written(value=event(number)) for number in (8, 9)]
    await write(kafka.bootstrap_servers, topic, others)
    done = await ended(run, given=b"2\n")
    assert (done.code, len(await committed(kafka, topic))) == (1, 2)
    assert f"the record at {topic}:0:0 is another one since the run began" in done.complained


async def test_what_another_plan_publishes_while_this_one_is_published_slowly_is_left_out(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.replay.publishing.LOOK_AGAIN_SECONDS", 0.0)
    topic, results = await originals(kafka, topics, partitions=1, count=24)
    plan = await plan_of_all(kafka, topic, results)

    async def begun() -> bool:
        return bool(resends(await committed(kafka, topic), plan))

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run_here(kafka, plan, per_second=12.0))
        await eventually(begun, within_seconds=30, what="something is published")
        theirs = Written(value=event(23), headers=[("resend-id", b"replay-theirs")])
        await write(kafka.bootstrap_servers, topic, [theirs])
    assert running.result() == (23, 0, 1)


async def test_what_comes_while_the_number_is_typed_is_left_out_too(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.replay.run.UNSETTLED_SECONDS", 0.0)
    topic, results = await originals(kafka, topics, partitions=1, count=4)
    plan = await plan_of_all(kafka, topic, results)

    async def another_resend() -> None:
        theirs = [Written(value=event(number), headers=[("resend-id", b"replay-theirs")]) for number in (1, 2)]
        (_, offset), _ = await write(kafka.bootstrap_servers, topic, theirs)
        accepted = result("e-1", "accepted", topic=topic, offset=offset, resend_id="replay-theirs")
        await write(kafka.bootstrap_servers, results, [Written(value=accepted)])

    assert await run_here(kafka, plan, meanwhile=another_resend) == (2, 0, 2)
    assert [record.value for record in resends(await committed(kafka, topic), plan)] == [event(0), event(3)]


async def test_somebody_elses_open_transaction_is_waited_for_because_ours_may_stand_behind_it(
    kafka: Cluster, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, results = await originals(kafka, topics, partitions=1, count=4)
    plan = await plan_of_all(kafka, topic, results)
    other = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=f"of {topic}")
    async with other:
        await other.begin_transaction()
        await other.send_and_wait(topic, b"not yet", partition=0)
        heard: list[str] = []
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(run_here(kafka, plan, heard=heard))
            await eventually(lambda: _said(heard, "waiting for a transaction"), within_seconds=30, what="it waits")
            assert not running.done()
            await other.commit_transaction()
        assert running.result() == (4, 0, 0)
        await other.begin_transaction()
        await other.send_and_wait(topic, b"never", partition=0)
        monkeypatch.setattr("consumer.replay.tail.OPEN_SECONDS", 0.5)
        with pytest.raises(HeldUpError, match=f"open in {topic}:0"):
            await run_here(kafka, plan, is_forced=True)
        await other.abort_transaction()


async def _said(heard: list[str], words: str) -> bool:
    return any(words in line for line in heard)


async def test_a_rate_is_kept(kafka: Cluster, topics: Topics) -> None:
    topic, results = await originals(kafka, topics, partitions=2, count=24)
    plan = await plan_of_all(kafka, topic, results)
    assert await run_here(kafka, plan, per_second=12.0) == (24, 0, 0)
    stamps = [record.timestamp for record in resends(await committed(kafka, topic), plan)]
    assert 1_700 < max(stamps) - min(stamps) < 20_000  # three at a time, the last ones after 21 twelfths of a second

"""A resend beside the real service: who is texted is exactly who was planned, and `status` follows it to its end."""

from pathlib import Path

import orjson

from consumer.demo.arithmetic import RecordPlace
from consumer.replay.document import plan_of
from tests.service.auditing import audited
from tests.service.events import ago, id_of, urgent, written
from tests.service.harness import Settings, Stage, stage_on
from tests.service.planning import places_of, planned
from tests.support.cluster import Cluster
from tests.support.plans import Ran, replay

SHIPPED, OTHER = 421, 11
SETTINGS: Settings = {"DELIVERY__RETRY__MAX_ATTEMPTS": "2", "KAFKA__MAX_EVENT_AGE": "1h"}
OUTAGE = {"fault": "status", "status": 408, "campaign": SHIPPED}


async def ran(stage: Stage, *arguments: str) -> Ran:
    """Run a command of `replay` beside the stage, with Kafka's settings alone."""
    settings = {name: value for name, value in stage.environment(SETTINGS).items() if "_API__" not in name}
    return await replay(stage.kafka, *arguments, settings=settings)


async def an_outage(stage: Stage) -> dict[RecordPlace, str]:
    """Let a campaign fail for an hour; return which reference each record has that nobody was texted for."""
    instance = await stage.start(SETTINGS)
    good = [urgent(OTHER, person) for person in range(20)]
    await stage.results.until(await stage.publish([written(one, partition=n % 3) for n, one in enumerate(good)]))
    await stage.ask.set_faults(OUTAGE)
    bad = [urgent(SHIPPED, person) for person in range(40)]
    bad += [urgent(SHIPPED, 50 + person, expiresAt=ago(1.0)) for person in range(5)]
    places = await stage.publish([written(one, partition=n % 3) for n, one in enumerate(bad)])
    statuses = {result["status"] for result in await stage.results.until(places)}
    assert statuses == {"failed", "expired"}
    await stage.ask.clear_faults()
    assert await instance.stop() == 0
    return {place: id_of(content) for place, content in zip(places, bad, strict=True)}


async def test_exactly_those_are_texted_who_were_planned_and_each_of_them_once(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=3) as stage:
        untexted = await an_outage(stage)
        plan_file = tmp_path / "plan.json"
        file = str(plan_file)
        before = await stage.texts()
        await planned(stage, "--from", "-1h", "--extend-expiry", "10m", "--output", file)
        plan = plan_of(plan_file.read_bytes())
        assert places_of(plan) == untexted.keys()

        empty = await ran(stage, "status", file, "--json")
        first = await ran(stage, "run", file, "--yes", "--json", "--operator", "ana", "--reason", "the outage")
        pending = await ran(stage, "status", file, "--json")
        instance = await stage.start(SETTINGS)
        done = await ran(stage, "status", file, "--wait", "--json")
        by_id = await ran(stage, "status", plan.resend_id)
        again = await ran(stage, "run", file, "--yes", "--json")

        resend = {"resendId": plan.resend_id}
        assert orjson.loads(empty.said) == resend | {"records": 0, "pending": 0, "results": {}}
        assert orjson.loads(first.said) == resend | {"published": 45, "alreadyPublished": 0, "leftOut": 0}
        assert orjson.loads(pending.said) == resend | {"records": 45, "pending": 45, "results": {}}
        assert orjson.loads(done.said) == resend | {"records": 45, "pending": 0, "results": {"accepted": 45}}
        assert (done.code, done.complained) == (0, "")
        assert orjson.loads(again.said) == resend | {"published": 0, "alreadyPublished": 45, "leftOut": 0}
        assert (by_id.code, "each of its records has an outcome" in by_id.said) == (0, True), by_id
        assert [line.split() for line in by_id.said.splitlines() if line.split()[:1] == [str(SHIPPED)]] == [
            [str(SHIPPED), "45", "45", "0"]
        ]
        assert await stage.texts() - before == dict.fromkeys(untexted.values(), 1)
        assert before - await stage.texts() == {}
        resent = [result for result in await all_results(stage) if result["resendId"] is not None]
        assert {(result["resendReason"], result["possibleDuplicate"]) for result in resent} == {("the outage", False)}
        assert await instance.stop() == 0
        proof = await audited(stage, "--json", "--complete", settings=SETTINGS)
        assert (proof.exit_code, proof.violations) == (0, set())

        nothing = await planned(stage, "--from", "-1h", "--json")
        assert (nothing.plan.counts.would_send, nothing.plan.counts.already_accepted) == (0, 65)


async def all_results(stage: Stage) -> list[dict[str, object]]:
    """Read all results that stand there."""
    await stage.results.catch_up()
    return list(stage.results.at.values())

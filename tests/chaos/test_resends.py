"""A rewound group texts nobody, and a resend of the same range texts whom it should: Kafka's own tool beside ours."""

from pathlib import Path

import orjson

from consumer.demo.apache_kafka import ApacheKafka
from consumer.replay.document import plan_of
from tests.chaos.tools import GROUPS, run_tool
from tests.service.auditing import audited
from tests.service.events import id_of, urgent, written
from tests.service.harness import Stage, stage_on
from tests.support.plans import replay

COUNT, COMPLAINED = 30, 4


async def ran(stage: Stage, *arguments: str) -> bytes:
    """Run a command of `replay` beside the stage, with Kafka's settings alone; return what it printed."""
    settings = {name: value for name, value in stage.environment().items() if "_API__" not in name}
    done = await replay(stage.kafka, *arguments, settings=settings)
    assert done.code == 0, done.complained
    return done.said.encode()


async def test_a_rewind_texts_nobody_and_a_resend_of_the_same_range_all_but_those_who_complained(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path) as stage:
        events = [urgent(421, person) for person in range(COUNT)]
        first = await stage.start()
        await stage.results.until(await stage.publish([written(one) for one in events]))
        assert await first.stop() == 0
        of_group = ("--group", stage.group, "--topic", stage.events)
        await run_tool(breakable, GROUPS, *of_group, "--reset-offsets", "--to-earliest", "--execute")
        second = await stage.start()
        await second.until_logged("the group was rewound, without effect")
        await stage.results.until(await stage.publish([written(urgent(421, COUNT))]))
        assert set((await stage.texts()).values()) == {1}

        complained, file = tmp_path / "complained.txt", tmp_path / "plan.json"
        complained.write_text("\n".join(map(id_of, events[:COMPLAINED])), "utf-8")
        again = ("--status", "accepted", "--include-accepted", "--to", str(COUNT), "--topic", stage.events)
        await ran(stage, "plan", *again, "--partition", "0", "--exclude", str(complained), "--output", str(file))
        await ran(stage, "run", str(file), "--yes", "--reason", "wrong template")
        told = orjson.loads(await ran(stage, "status", str(file), "--wait", "--json"))

        assert told["results"] == {"accepted": COUNT - COMPLAINED}
        assert plan_of(file.read_bytes()).counts.second_texts == COUNT - COMPLAINED
        texts = await stage.texts()
        assert [texts[id_of(one)] for one in events] == [1] * COMPLAINED + [2] * (COUNT - COMPLAINED)
        assert await second.stop() == 0
        proof = await audited(stage, "--json", "--complete")
        assert (proof.exit_code, proof.violations) == (0, set())

"""What people see of the running service from a terminal: `produce --wait`, `results` and `top` tell what is true."""

from pathlib import Path

import orjson

from tests.service.events import id_of, urgent, written
from tests.service.harness import stage_on
from tests.service.test_inspect import ran
from tests.support.cluster import Cluster
from tests.support.eventually import eventually


async def test_what_is_published_is_followed_to_its_result_found_again_and_seen_at_work(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start({"API__TIMEOUT": "40s", "SHUTDOWN__GRACE": "45s"})
        environment = {**stage.environment(), "COLUMNS": "100"}
        sent, wrong = urgent(7, 1), urgent(7, 2, campaignId="seven")
        file = tmp_path / "events.jsonl"
        file.write_bytes(orjson.dumps(sent) + b"\n" + orjson.dumps(wrong))

        code, said, complained = await ran("produce", str(file), "--wait", environment=environment)
        assert (code, complained) == (0, "")
        assert "\n1 accepted\n1 invalid (schema)\n" in said
        code, said, complained = await ran("results", "--event", id_of(sent), "--json", environment=environment)
        assert code == 0, complained
        [found] = [orjson.loads(line) for line in said.splitlines()]
        assert (found["eventId"], found["status"]) == (id_of(sent), "accepted")

        await stage.ask.set_faults({"fault": "hold"})
        await stage.publish([written(urgent(7, 3))])
        await stage.ask.wait(in_flight=1)

        async def lag_is_known() -> bool:
            lag: int | None = (await service.status())["lag"]
            return lag == 1

        await eventually(lag_is_known, within_seconds=30, what="the logs' ends are known")
        code, said, complained = await ran("top", "--once", "--json", "--url", service.url, environment=environment)
        assert (code, complained) == (0, "")
        status = orjson.loads(said)
        assert status.keys() == (await service.status()).keys()
        assert (status["totals"]["results"], status["lag_parts"]["in_flight"]) == (2, 1)
        code, said, complained = await ran(
            "top", "--once", "--every", "0.1", "--url", service.url, environment=environment
        )
        assert (code, complained) == (0, "")
        lines = [" ".join(line.split()) for line in said.splitlines()]
        assert lines[1].startswith("GOOD sending")
        assert "█ in flight 1" in lines
        [request] = status["requests"]
        assert any(line.startswith(f"{request['send_id']} 7 1 1 posting ") for line in lines)
        await stage.ask.clear_faults()
        await stage.results.until_count(3)
        assert await service.stop() == 0

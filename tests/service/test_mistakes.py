"""What `run` says of a mistake: one line that tells what to do, the documented exit code, never a traceback."""

import asyncio
import signal
import socket
from pathlib import Path

from consumer.demo.processes import free_port
from tests.service.harness import Settings, Stage, stage_on
from tests.support.cluster import Cluster

FAILED = 1
MISCONFIGURED = 2


async def _said(stage: Stage, settings: Settings) -> tuple[int, list[str]]:
    """Exit code, and what it says of its end."""
    instance = await stage.launch(settings)
    code = await instance.ended()
    return code, instance.last_words()


async def test_a_missing_topic_is_named_with_its_setting_and_what_to_do(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        for setting in ("JOURNAL_TOPIC", "EVENTS_TOPICS", "RESULTS_TOPIC", "DEAD_LETTER_TOPIC", "CONTROL_TOPIC"):
            settings = {f"KAFKA__{setting}": f"{stage.events}-nowhere"}
            if setting == "EVENTS_TOPICS":
                settings["KAFKA__JOURNAL_TOPIC"] = stage.journal
            code, lines = await _said(stage, settings)

            assert code == FAILED
            (line,) = lines
            assert f"CAMPAIGN_KAFKA__{setting}" in line
            assert f"'{stage.events}-nowhere' does not exist: create it" in line


async def test_an_unfit_journal_is_named_with_what_it_should_be(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        small = await stage.topics.create("small-journal", partitions=1)
        compacted = await stage.topics.create("compacted-journal", partitions=2, settings={"cleanup.policy": "compact"})
        for journal, cure in (
            (small, "give the journal 2 partitions"),
            (compacted, "cleanup.policy=compact: set it to delete"),
        ):
            code, (line,) = await _said(stage, {"KAFKA__JOURNAL_TOPIC": journal})

            assert code == FAILED
            assert journal in line
            assert cure in line


async def test_a_port_in_use_is_one_line_and_a_failure(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, (line,) = await _said(stage, {"HTTP__PORT": str(port)})

        assert code == FAILED
        assert str(port) in line
        assert "CAMPAIGN_HTTP__PORT" in line


async def test_wrong_settings_are_a_line_each_and_bad_usage(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        code, lines = await _said(
            stage, {"WINDOW__DURATION": "soon", "DELIVERY__ON_UNKNOWN_OUTCOME": "perhaps", "WINDOW__LENGTH": "2s"}
        )

        assert code == MISCONFIGURED
        named = ("CAMPAIGN_WINDOW__DURATION=", "CAMPAIGN_DELIVERY__ON_UNKNOWN_OUTCOME=", "CAMPAIGN_WINDOW__LENGTH")
        assert len(lines) == len(named)
        assert all(any(name in line for line in lines) for name in named)


async def test_brokers_that_do_not_answer_are_told_of_and_waited_for_until_a_signal(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        nowhere = f"127.0.0.1:{free_port()}"
        instance = await stage.launch({"KAFKA__BOOTSTRAP_SERVERS": nowhere})
        trouble = await instance.until_logged("trouble with Kafka")
        assert "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS" in trouble["cure"]
        instance.url = (await instance.until_logged("started"))["http_url"].rstrip("/")
        assert (await instance.get("/readyz")).status_code == 503
        assert (await instance.get("/healthz")).status_code == 200
        instance.send(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await instance.ended() == 0
        assert not instance.last_words()

"""The embedded Apache Kafka is a real one, survives what it is put through, and never outlives its parent."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from consumer.demo import jars
from consumer.demo.apache_kafka import ApacheKafka, KafkaStartError
from tests.support.cluster import Cluster
from tests.support.records import Codec, Written, read_all, write
from tests.support.topics import Topics

# A parent that tells the JVM's process ID and its folder, and then waits to be killed.
PARENT = """
import asyncio
from consumer.demo.apache_kafka import ApacheKafka

async def main():
    async with ApacheKafka() as kafka:
        print(kafka.broker().pid, kafka.folder, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_a_record_comes_back_as_it_was_written(kafka: Cluster, topics: Topics, codec: Codec | None) -> None:
    topic = await topics.create("round-trip", partitions=2)
    written = Written(key=b"customer-1", value=b'{"n": 1}' * 100, headers=[("resend-id", b"r-1")], partition=1)

    (place,) = await write(kafka.bootstrap_servers, topic, [written], codec=codec)
    (record,) = await read_all(kafka.bootstrap_servers, topic)

    assert place == (1, 0)
    assert (record.partition, record.key, record.value, list(record.headers)) == (
        1,
        written.key,
        written.value,
        written.headers,
    )


async def test_a_topic_nobody_created_does_not_appear_by_itself(kafka: Cluster, topics: Topics) -> None:
    await topics.create("another")

    with pytest.raises(LookupError, match="no topic missing"):
        await read_all(kafka.bootstrap_servers, "missing")


async def test_what_was_acknowledged_is_there_after_the_broker_was_killed_and_started_again() -> None:
    async with ApacheKafka() as kafka:
        async with Topics(kafka.bootstrap_servers) as topics:
            topic = await topics.create("kept")
        await write(kafka.bootstrap_servers, topic, [Written(value=b"kept")])
        before = kafka.bootstrap_servers

        await kafka.kill_broker()
        assert not kafka.broker().runs
        await kafka.start_broker()

        assert kafka.bootstrap_servers == before
        assert [record.value for record in await read_all(kafka.bootstrap_servers, topic)] == [b"kept"]
        folder = kafka.folder
    assert not folder.exists()


async def test_three_brokers_accept_writes_while_one_is_down(three_breakable: ApacheKafka) -> None:
    kafka = three_breakable
    async with Topics(kafka.bootstrap_servers) as topics:
        topic = await topics.create("replicated", partitions=3)

    await kafka.kill_broker(2)
    await write(kafka.bootstrap_servers, topic, [Written(value=b"%d" % n, partition=n) for n in range(3)])

    assert [record.value for record in await read_all(kafka.bootstrap_servers, topic)] == [b"0", b"1", b"2"]


def test_the_broker_dies_with_its_parent_even_when_that_is_killed_and_leaves_no_litter() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        broker = psutil.Process(int(pid))
        watcher = broker.parent()
        assert "kafka.Kafka" in broker.cmdline()
        assert watcher is not None
        assert Path(folder, "broker-1", "data").is_dir()

        os.kill(parent.pid, signal.SIGKILL)

        broker.wait(timeout=20)
        watcher.wait(timeout=20)
        assert not Path(folder).exists()


async def test_a_broker_that_cannot_start_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    kafka = ApacheKafka(folder=tmp_path, settings={"num.io.threads": "none"})

    with pytest.raises(KafkaStartError, match=r"num\.io\.threads"):
        await kafka.start()

    assert kafka.bootstrap_servers == ""
    assert not [process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info)]


async def test_a_jar_that_differs_from_the_lock_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = jars.cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copytree(cached, jars.cache_folder(), ignore=shutil.ignore_patterns("*.aot"))
    next(jars.cache_folder().glob("jspecify-*.jar")).write_bytes(b"not what the lock names")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody listens there: it cannot be fetched again

    with pytest.raises(KafkaStartError, match=r"org\.jspecify:jspecify:.*cannot be fetched from Maven Central"):
        await ApacheKafka().start()

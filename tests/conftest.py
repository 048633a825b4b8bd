"""What every test may ask for: the run's Apache Kafka, topics of its own, brokers to break. Owns how hard we try."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from consumer.demo.apache_kafka import ApacheKafka
from tests.support.breakable import WayIn, add_way_in, mend
from tests.support.cluster import Cluster, SomebodyElsesKafka
from tests.support.kafka_proxy import KafkaProxy
from tests.support.topics import Topics

# A shell that starts us in the background has SIGINT ignored, and every process we start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# CAMPAIGN_TEST_PROFILE chooses: how many examples each property is tried on.
for _profile, _examples in {"dev": 50, "ci": 500, "soak": 20_000}.items():
    settings.register_profile(
        _profile,
        max_examples=_examples,
        deadline=None,  # a busy machine is no bug
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],  # for the same reason
        database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".cache" / "hypothesis"),
    )
settings.load_profile(os.environ.get("CAMPAIGN_TEST_PROFILE", "dev"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let several processes share the run in lanes; asked for where there are several."""
    from tests.support.lanes import Lanes

    return Lanes(config, log)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka() -> AsyncIterator[Cluster]:
    """The run's one Kafka: embedded, or the one that CAMPAIGN_TEST_BOOTSTRAP_SERVERS names.

    It is shared, so nobody breaks it: a test that stops brokers starts an ApacheKafka of its own.
    """
    named = os.environ.get("CAMPAIGN_TEST_BOOTSTRAP_SERVERS")
    if named:
        yield SomebodyElsesKafka(bootstrap_servers=named)
        return
    async with ApacheKafka() as embedded:
        yield embedded


@pytest_asyncio.fixture
async def topics(kafka: Cluster) -> AsyncIterator[Topics]:
    """Creates topics under names that no other test has, on the run's Kafka."""
    async with Topics(kafka.bootstrap_servers) as created:
        yield created


# Brokers that a test may break: shared, since starting one takes seconds, and whole again after each test.


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _one_broker() -> AsyncIterator[tuple[ApacheKafka, WayIn]]:
    async with ApacheKafka() as kafka:
        yield kafka, await add_way_in(kafka)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _three_brokers() -> AsyncIterator[ApacheKafka]:
    async with ApacheKafka(brokers=3) as kafka:
        yield kafka


@pytest_asyncio.fixture
async def breakable(_one_broker: tuple[ApacheKafka, WayIn]) -> AsyncIterator[ApacheKafka]:
    """One broker, to be killed, frozen and damaged."""
    kafka, _ = _one_broker
    yield kafka
    await mend(kafka, brokers=1)


@pytest_asyncio.fixture
async def proxy(_one_broker: tuple[ApacheKafka, WayIn], breakable: ApacheKafka) -> AsyncIterator[KafkaProxy]:
    """The other way to that broker: what goes through here can be held, stalled and cut."""
    assert breakable.broker().runs
    _, way_in = _one_broker
    async with way_in.open() as opened:
        yield opened


@pytest_asyncio.fixture
async def three_breakable(_three_brokers: ApacheKafka) -> AsyncIterator[ApacheKafka]:
    """Three brokers, one of which may be down or frozen."""
    yield _three_brokers
    await mend(_three_brokers, brokers=3)

"""Clusters that a test may break: shared, since starting one takes seconds, and whole again after each test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from consumer.demo.apache_kafka import ApacheKafka


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _one_broker() -> AsyncIterator[ApacheKafka]:
    async with ApacheKafka() as kafka:
        yield kafka


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _three_brokers() -> AsyncIterator[ApacheKafka]:
    async with ApacheKafka(brokers=3) as kafka:
        yield kafka


@pytest_asyncio.fixture
async def breakable(_one_broker: ApacheKafka) -> AsyncIterator[ApacheKafka]:
    """One broker, to be killed, frozen and damaged."""
    yield _one_broker
    await mend(_one_broker, brokers=1)


@pytest_asyncio.fixture
async def three_breakable(_three_brokers: ApacheKafka) -> AsyncIterator[ApacheKafka]:
    """Three brokers, one of which may be down or frozen."""
    yield _three_brokers
    await mend(_three_brokers, brokers=3)


async def mend(kafka: ApacheKafka, *, brokers: int) -> None:
    for number in range(1, brokers + 1):
        if kafka.broker(number).runs:
            kafka.thaw_broker(number)
        else:
            await kafka.start_broker(number)

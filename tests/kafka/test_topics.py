"""Topics that are not fit for the service are named, each with what to do; missing ones are made fit."""

import socket

import pytest

from consumer.core.terms import Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.connection import KafkaConnection, KafkaUnreachableError
from consumer.edge.kafka.topic_findings import JOURNAL_RETENTION_MS
from consumer.edge.kafka.topics import (
    Expectations,
    TopicCreationError,
    create_topics,
    examine,
    grow,
)
from consumer.service.ports import Message, TopicGoneError
from tests.kafka.support import connection_to, journal_on, results_on
from tests.support.cluster import Cluster
from tests.support.topics import Topics

FIT_JOURNAL = {"retention.ms": str(JOURNAL_RETENTION_MS), "cleanup.policy": "delete"}


def expecting(events: str, journal: str, results: str, dead_letter: str) -> Expectations:
    return Expectations(
        journals={events: journal}, results=results, dead_letter=dead_letter, control=f"{dead_letter}-control"
    )


async def test_each_missing_topic_is_named_with_its_setting_and_the_partitions_it_needs(
    kafka: Cluster, topics: Topics
) -> None:
    events = await topics.create("events", partitions=4)
    expectations = expecting(events, f"{events}-journal", f"{events}-results", f"{events}-dead")

    lines = [str(finding) for finding in await examine(connection_to(kafka), expectations) if not finding.is_note]

    assert lines == [
        (
            f"CAMPAIGN_KAFKA__JOURNAL_TOPIC: the journal topic '{events}-journal' does not exist: create it with 4 "
            "partitions and cleanup.policy=delete, or run `campaign-consumer topics`"
        ),
        (
            f"CAMPAIGN_KAFKA__RESULTS_TOPIC: the results topic '{events}-results' does not exist: create it, "
            "or run `campaign-consumer topics`"
        ),
        (
            f"CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC: the dead-letter topic '{events}-dead' does not exist: create it, "
            "or run `campaign-consumer topics`"
        ),
        (
            f"CAMPAIGN_KAFKA__CONTROL_TOPIC: the control topic '{events}-dead-control' does not exist: create it with 1 "
            "partition and cleanup.policy=compact, or run `campaign-consumer topics`"
        ),
    ]


async def test_a_journal_that_is_too_small_compacted_or_forgetful_is_named(kafka: Cluster, topics: Topics) -> None:
    events = await topics.create("events", partitions=3)
    settings = {"cleanup.policy": "compact,delete", "retention.ms": "604800000"}
    journal = await topics.create("journal", partitions=2, settings=settings)
    results, dead_letter = await topics.create("results"), await topics.create("dead")
    await topics.create_named(f"{dead_letter}-control", settings={"cleanup.policy": "compact"})

    findings = await examine(connection_to(kafka), expecting(events, journal, results, dead_letter))

    assert [str(finding) for finding in findings if not finding.is_note] == [
        f"the journal {journal!r} has 2 partitions, {events!r} has 3: give the journal 3 partitions",
        f"the journal {journal!r} has cleanup.policy=compact,delete: set it to delete, compaction eats entries",
    ]
    notes = [str(finding) for finding in findings if finding.is_note]
    assert any(f"the journal {journal!r} keeps 7 days" in note for note in notes)
    assert any("min.insync.replicas=1" in note for note in notes)


async def test_topics_made_by_us_leave_nothing_to_complain_about(kafka: Cluster, topics: Topics) -> None:
    events = await topics.create("events", partitions=5)
    expectations = expecting(events, f"{events}-journal", f"{events}-results", f"{events}-dead")
    connection = connection_to(kafka)

    made = await create_topics(connection, expectations)
    again = await create_topics(connection, expectations)

    assert set(made) == {f"{events}-{name}" for name in ("journal", "results", "dead", "dead-control")}
    assert again == []
    assert [str(finding) for finding in await examine(connection, expectations) if not finding.is_note] == []
    async with journal_on(kafka) as journal:
        assert await journal.append(Partition(events, 4), [b"{}"]) == 0


async def test_an_events_topic_is_made_too_where_topics_are_made(kafka: Cluster, topics: Topics) -> None:
    name = await topics.create("prefix")
    expectations = expecting(f"{name}-new", f"{name}-new-journal", f"{name}-results", f"{name}-dead")

    made = await create_topics(connection_to(kafka), expectations, events_partitions=3)

    assert set(made) == {topic for topic, _ in expectations.topics()}
    assert [finding for finding in await examine(connection_to(kafka), expectations) if not finding.is_note] == []


async def test_a_journal_is_given_the_partitions_of_its_events_topic_and_never_fewer(
    kafka: Cluster, topics: Topics
) -> None:
    events, journal = await topics.create("events", partitions=4), await topics.create("journal", partitions=2)

    assert await grow(connection_to(kafka), journal, like=events) == 4
    assert await grow(connection_to(kafka), events, like=await topics.create("small")) == 4
    with pytest.raises(TopicCreationError, match="could not be given"):
        await grow(connection_to(kafka), "no such topic!", like=events)


async def test_brokers_that_do_not_answer_are_one_line_that_says_what_to_check() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        servers = (f"127.0.0.1:{taken.getsockname()[1]}",)
        connection = KafkaConnection(bootstrap_servers=servers)
        expectations = expecting("events", "journal", "results", "dead")

        (finding,) = await examine(connection, expectations)

        assert str(finding).startswith(f"no Kafka broker answers at {servers[0]} (PLAINTEXT)")
        assert "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS" in str(finding)
        assert "\n" not in str(finding)
        with pytest.raises(KafkaUnreachableError):
            await create_topics(connection, expectations)


async def test_looking_for_topics_makes_none_even_where_brokers_make_what_is_asked_for() -> None:
    async with ApacheKafka(settings={"auto.create.topics.enable": "true"}) as kafka:
        connection = connection_to(kafka)
        expectations = expecting("events", "events-journal", "results", "dead")
        async with journal_on(kafka) as journal, results_on(kafka) as results:
            with pytest.raises(TopicGoneError, match="'events-journal' does not exist"):
                await journal.append(Partition("events", 0), [b"{}"])
            with pytest.raises(TopicGoneError, match="'events-journal' does not exist"):
                await journal.bounds(Partition("events", 0))
            with pytest.raises(TopicGoneError, match="'results' does not exist"):
                await results.publish("results", 0, [Message(key=b"k", value=b"v")])

        findings = await examine(connection, expectations)

        assert len(findings) == 5
        assert all("does not exist" in str(finding) for finding in findings)

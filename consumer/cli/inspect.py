"""`campaign-consumer inspect`: shows the group's state; writes an operator's decision about a stopped partition."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from consumer.cli.main import MISUSED, Failure, config_option, environment
from consumer.inspection.report import EPILOG

if TYPE_CHECKING:
    from config.settings import Kafka
    from consumer.core.terms import Offset, Partition
    from consumer.edge.kafka.journal_log import KafkaJournal
    from consumer.edge.kafka.reading.events_consumer import GroupConsumer
    from consumer.inspection.inspector import Inspector
    from consumer.inspection.view import PartitionView

ENOUGH_SECONDS = 60.0
"""Requests to the brokers are retried without end; after this long the command gives up and says so."""

EDGES = ("beginning", "end")


class InspectTools(NamedTuple):
    """What the command needs: an inspector, and the partitions."""

    inspector: "Inspector"
    partitions: "Sequence[Partition]"


class TopicQuestions(NamedTuple):
    """Readers of events topics and journals, and how many partitions each topic has."""

    events: "GroupConsumer"
    journal: "KafkaJournal"
    counts: "Mapping[str, int]"
    journal_counts: "Mapping[str, int]"
    """By events topic."""


@click.command(short_help="Show the group's state, partition by partition; let a stopped one start.", epilog=EPILOG)
@config_option
@click.option(
    "--bootstrap-servers", metavar="HOST:PORT,...", help="Brokers; wins over CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--accept", "accepted", metavar="TOPIC:PARTITION", help="Let this stopped partition start.")
@click.option("--accept-all", is_flag=True, help="Let every stopped partition start.")
@click.option("--at", metavar="OFFSET", help="With --accept: start there; also beginning or end. Default: the commit.")
@click.option("--yes", is_flag=True, help="With --accept and --accept-all: do not ask.")
def command(
    *,
    config_file: Path | None,
    bootstrap_servers: str | None,
    as_json: bool,
    accepted: str | None,
    accept_all: bool,
    at: str | None,
    yes: bool,
) -> None:
    """Show each partition's state, from Kafka alone: commits, journal, log ends.

    Works whether or not a service runs; joins no group, and writes nothing but an operator's decision.

    A partition stops where the evidence contradicts itself: its topic was recreated or truncated, its journal has
    lost its beginning or its end, or belongs to another group. --accept says what will happen, asks, and writes into
    the journal that the partition may start at an offset. From there on everything counts as never sent. A running
    service notices that within seconds. --accept-all does so for every stopped partition.
    """
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError
    from consumer.inspection.inspector import NotAcceptedError
    from consumer.service.ports import TopicGoneError
    from consumer.traffic.connection import BadBrokersError, hush_client_library, kafka_settings

    if accepted is not None and accept_all:
        raise Failure("--accept TOPIC:PARTITION or --accept-all, not both", MISUSED)
    if accepted is None and not accept_all and (at is not None or yes):
        raise Failure("--at and --yes belong to --accept TOPIC:PARTITION and --accept-all", MISUSED)
    if accept_all and at not in {None, *EDGES}:
        raise Failure(f"--at {at}: with --accept-all it is {' or '.join(EDGES)}", MISUSED)
    try:
        kafka = kafka_settings(config_file, environment(), bootstrap_servers=bootstrap_servers)
    except BadBrokersError as error:
        raise Failure(f"--bootstrap-servers {bootstrap_servers}: {error}", MISUSED) from None
    hush_client_library()
    try:
        if accept_all:
            asyncio.run(_accept_all(kafka, at=at, sure=yes))
        elif accepted is not None:
            asyncio.run(_accept(kafka, accepted, at=at, sure=yes))
        else:
            asyncio.run(_show(kafka, as_json=as_json))
    except* (
        KafkaRefusedError,
        KafkaUnreachableError,
        NotAcceptedError,
        TopicGoneError,
    ) as group:
        raise Failure("\n".join(dict.fromkeys(_lines(group)))) from None


def _lines(group: BaseExceptionGroup[Exception]) -> list[str]:
    lines: list[str] = []
    for error in group.exceptions:
        lines += _lines(error) if isinstance(error, BaseExceptionGroup) else [str(error)]
    return lines


async def _show(kafka: "Kafka", *, as_json: bool) -> None:
    from consumer.edge.clock import SystemClock
    from consumer.inspection.report import document, table

    async with inspect_tools(kafka) as tools:
        views = await look(tools)
    now = SystemClock().now().wall
    if as_json:
        click.echo(document(views, group=kafka.group_id, now=now))
    else:
        for line in table(views, now):
            click.echo(line)


async def look(tools: InspectTools) -> "list[PartitionView]":
    """Return each partition's state."""
    async with asyncio.TaskGroup() as tasks:
        looks = [tasks.create_task(tools.inspector.look(each), name=f"look at {each}") for each in tools.partitions]
    return [look.result() for look in looks]


async def _accept(kafka: "Kafka", wanted: str, *, at: str | None, sure: bool) -> None:
    from consumer.edge.clock import SystemClock
    from consumer.inspection.inspector import check_may_start
    from consumer.inspection.report import forecast

    async with inspect_tools(kafka, writes=True) as tools:
        found = [partition for partition in tools.partitions if str(partition) == wanted]
        if not found:
            raise Failure(
                f"--accept {wanted}: there is no such partition of {', '.join(kafka.all_events_topics)}", MISUSED
            )
        seen = await tools.inspector.look(found[0])
        start = _start(seen, at)
        check_may_start(seen, start)
        for line in forecast(seen, start):
            click.echo(line)
        if not sure and not await asyncio.to_thread(click.confirm, f"Let {wanted} start at offset {start}?"):
            raise Failure(f"{wanted} stays stopped; nothing was written")
        landed = await tools.inspector.accept(seen, start, SystemClock().now().wall)
    _print_accepted(wanted, start, landed)


async def _accept_all(kafka: "Kafka", *, at: str | None, sure: bool) -> None:
    from consumer.edge.clock import SystemClock
    from consumer.inspection.inspector import NotAcceptedError, check_may_start
    from consumer.inspection.report import forecast
    from consumer.inspection.view import State

    refusals: list[str] = []
    async with inspect_tools(kafka, writes=True) as tools:
        chosen = []
        for seen in [view for view in await look(tools) if view.state is State.STOPPED]:
            start = _start(seen, at)
            try:
                check_may_start(seen, start)
            except NotAcceptedError as error:
                refusals.append(str(error))
                continue
            chosen.append((seen, start))
            for line in forecast(seen, start):
                click.echo(line)
        if not chosen and not refusals:
            click.echo("no partition is stopped")
        if chosen and not sure and not await asyncio.to_thread(click.confirm, f"Let these {len(chosen)} start?"):
            raise Failure("all of them stay stopped; nothing was written")
        for seen, start in chosen:
            try:
                landed = await tools.inspector.accept(seen, start, SystemClock().now().wall)
            except NotAcceptedError as error:
                refusals.append(str(error))
                continue
            _print_accepted(str(seen.partition), start, landed)
    if refusals:
        raise Failure("\n".join(refusals))


def _print_accepted(partition: str, start: int, landed: int) -> None:
    click.echo(
        f"{partition} may start at offset {start} (journal offset {landed}): a service that runs starts it within "
        "seconds, otherwise the next one does"
    )


def _start(seen: "PartitionView", at: str | None) -> "Offset":
    from consumer.core.terms import Offset

    if at is not None and not at.isdecimal() and at not in EDGES:
        raise Failure(f"--at {at}: neither an offset nor {' nor '.join(EDGES)}", MISUSED)
    if at == "end":
        return seen.log_end or Offset(0)
    if at == "beginning":
        return seen.log_start or Offset(0)
    if at is not None:
        return Offset(int(at))
    return (seen.log_start or Offset(0)) if seen.committed is None else seen.committed


@asynccontextmanager
async def inspect_tools(kafka: "Kafka", *, writes: bool = False) -> AsyncIterator[InspectTools]:
    """Yield an inspector and the partitions; its connections are closed at the end.

    Raises:
        KafkaUnreachableError: it took longer than `ENOUGH_SECONDS`.
    """
    from consumer.edge.kafka.connection import KafkaUnreachableError
    from consumer.edge.kafka.group.view import members_of
    from consumer.inspection.inspector import Inspector, Layout
    from consumer.traffic.connection import connection_of

    troubles: list[str] = []
    try:
        async with asyncio.timeout(None if writes else ENOUGH_SECONDS), topic_questions(kafka, troubles) as topics:
            layout = Layout(
                events=topics.counts,
                journals={topic: (name, topics.journal_counts[topic]) for topic, name in _journals(kafka).items()},
                members=await members_of(connection_of(kafka), kafka.group_id),
            )
            if writes:
                await topics.journal.start()
            inspector = Inspector(events=topics.events, journal=topics.journal, layout=layout, group=kafka.group_id)
            yield InspectTools(inspector, layout.partitions())
    except TimeoutError as error:
        why = troubles[-1] if troubles else "no answer"
        raise KafkaUnreachableError(f"not done within {ENOUGH_SECONDS:.0f} s: {why}") from error


@asynccontextmanager
async def topic_questions(kafka: "Kafka", troubles: list[str]) -> AsyncIterator[TopicQuestions]:
    """Yield readers of topics and journals that join no group; they are closed at the end."""
    from consumer.edge.kafka.group.view import partitions_of
    from consumer.edge.kafka.journal_log import KafkaJournal
    from consumer.edge.kafka.reading.events_consumer import GroupConsumer
    from consumer.traffic.connection import connection_of

    connection, journals = connection_of(kafka), _journals(kafka)
    # Neither of the two is started as in a service: they only read, and join no group.
    events = GroupConsumer(connection, group=kafka.group_id, topics=kafka.all_events_topics, on_trouble=troubles.append)
    journal = KafkaJournal(
        connection, topic_template=kafka.journal_topic, on_replaced=troubles.append, on_trouble=troubles.append
    )
    try:
        counts = await partitions_of(connection, [*journals, *journals.values()])
        yield TopicQuestions(
            events=events,
            journal=journal,
            counts={topic: counts[topic] for topic in journals},
            journal_counts={topic: counts[name] for topic, name in journals.items()},
        )
    finally:
        await events.stop()
        await journal.stop()


def _journals(kafka: "Kafka") -> dict[str, str]:
    return {topic: kafka.journal_topic.replace("{topic}", topic) for topic in kafka.all_events_topics}

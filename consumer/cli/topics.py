"""`campaign-consumer topics`: creates the topics that are missing, fit for the service. Changes no topic that is there."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.main import Failure, config_option, environment

if TYPE_CHECKING:
    from config import Settings

DEFAULT_PARTITIONS = 6


@click.command(short_help="Create the topics that are missing, with the settings that they need.")
@config_option
@click.option(
    "--partitions",
    metavar="N",
    type=click.IntRange(min=1),
    default=DEFAULT_PARTITIONS,
    show_default=True,
    help="Partitions of an events topic that is missing: as many as there may ever be instances.",
)
def command(*, config_file: Path | None, partitions: int) -> None:
    """Create the topics that are missing: events, journals, results, dead letters, control.

    Each gets the settings that the service needs, and three copies, two of which have to acknowledge, as far as the
    cluster has brokers for that. A journal gets as many partitions as its events topic. A topic that is there stays as
    it is; what is wrong with it is one line on stderr, exit code 1. So the command may be run again at any time.

    It needs CREATE on them, which the service itself does not need, and no setting of the platform.
    """
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError
    from consumer.edge.kafka.topics import TopicCreationError
    from consumer.traffic.connection import hush_client_library, settings_without_platform

    settings = settings_without_platform(config_file, environment())
    hush_client_library()
    try:
        obstacles = asyncio.run(_create(settings, partitions))
    except (KafkaRefusedError, KafkaUnreachableError, TopicCreationError) as error:
        raise Failure(str(error)) from None
    if obstacles:
        raise Failure("\n".join(obstacles))


async def _create(settings: "Settings", partitions: int) -> list[str]:
    """Create what is missing and say so; return what is wrong with the topics, a line each."""
    from consumer.cli.wiring import expectations, kafka_connection
    from consumer.edge.kafka.topics import create_topics, examine

    connection, expected = kafka_connection(settings), expectations(settings)
    made = set(await create_topics(connection, expected, events_partitions=partitions))
    for topic, role in expected.topics():
        click.echo(f"{'created' if topic in made else 'there already'}: {topic} ({role.value})")
    findings = await examine(connection, expected)
    for finding in findings:
        if finding.is_note:
            click.echo(f"note: {finding}")
    return [str(finding) for finding in findings if not finding.is_note]

"""`campaign-consumer produce`: publishes events from JSON Lines, or made-up ones. Never creates a topic."""

import asyncio
from pathlib import Path
from typing import BinaryIO, Final

import click

from config.settings import Kafka
from consumer.cli.main import Failure, FiniteRange, config_option, environment
from consumer.cli.produce_run import Publication, Tally, produce
from consumer.cli.wiring import policies
from consumer.edge.clock import SystemClock
from consumer.traffic.checking import LineChecker
from consumer.traffic.connection import (
    BadBrokersError,
    connection_of,
    hush_client_library,
    kafka_settings,
    settings_without_platform,
)
from consumer.traffic.lines import KeyField, read_lines
from consumer.traffic.published import PublishedPlaces
from consumer.traffic.publisher import Compression, Partitioner, PublishError, TrafficPublisher
from consumer.traffic.record import Headers

WAIT_SECONDS: Final = 60.0
HELP = """Publish contact events from JSON Lines, or made-up ones.

Each line is an event, or {"key": ..., "value": ..., "headers": {...}} around one. An event without a key of its own is
keyed by its contact's external code, else by a hash of the phone, so that one person's events stay in order. Lines
that are not JSON objects are named and left out; the exit code is then 1. --check says of each line what the service
would find wrong with it.

Partition and offset of what was published are printed: each of up to 20 records, ranges of more. --wait follows these
records through the results.

\b
campaign-consumer produce events.jsonl --wait
campaign-consumer produce events.jsonl --check
zcat events.jsonl.gz | campaign-consumer produce - --rate 500
campaign-consumer produce --generate 10000 --seed 7
"""


class _WaitOption(click.Command):
    """`--wait` may stand alone; what follows it is its number only where it is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let one that stands alone mean its default."""
        for number, word in enumerate(args):
            if word == "--":
                break
            if word == "--wait" and not _is_number(*args[number + 1 : number + 2]):
                args[number] = f"--wait={WAIT_SECONDS:g}"
        return super().parse_args(ctx, args)


def _is_number(word: str = "") -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _header(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Headers:
    headers = []
    for value in values:
        name, separator, content = value.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        headers.append((name, content.encode()))
    return tuple(headers)


def _key_field(_context: click.Context, _parameter: click.Parameter, value: str | None) -> KeyField | None:
    return None if value is None else KeyField(path=tuple(value.split(".")))


@click.command(help=HELP, cls=_WaitOption)
@click.argument("source", metavar="[FILE|-]", required=False, type=click.File("rb"))
@click.option(
    "--generate", "count", type=click.IntRange(min=1), metavar="N", help="Make N realistic events up instead."
)
@click.option("--seed", default=1, show_default=True, help="With --generate: the same seed gives the same events.")
@click.option("--topic", help="Topic to publish to.  [default: the first of KAFKA__EVENTS_TOPICS]")
@click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="Brokers, instead of KAFKA__BOOTSTRAP_SERVERS.")
@config_option
@click.option(
    "--rate", type=FiniteRange(min=0, min_open=True), metavar="N", help="Records a second.  [default: all at once]"
)
@click.option("--key-field", callback=_key_field, metavar="PATH", help="Field with the key, as contact.externalCode.")
@click.option("--header", "headers", multiple=True, callback=_header, metavar="NAME=VALUE", help="Add to every record.")
@click.option(
    "--compression",
    type=click.Choice([each.value for each in Compression]),
    default="none",
    show_default=True,
    help="Of the batches.",
)
@click.option(
    "--partitioner",
    type=click.Choice([each.value for each in Partitioner]),
    default="murmur2",
    show_default=True,
    help="murmur2 keeps a key's events in order, as Kafka's own clients do; round-robin spreads them.",
)
@click.option(
    "--wait",
    "wait_seconds",
    type=FiniteRange(min=0, min_open=True),
    metavar="[SECONDS]",
    help=f"Show what became of it, after so long at most ({WAIT_SECONDS:g} without a number); exit 1 without a result.",
)
@click.option("--check", "is_checking", is_flag=True, help="Publish nothing: name lines that are no valid events.")
def command(
    *,
    source: BinaryIO | None,
    count: int | None,
    seed: int,
    topic: str | None,
    bootstrap_servers: str | None,
    config_file: Path | None,
    rate: float | None,
    key_field: KeyField | None,
    headers: Headers,
    compression: str,
    partitioner: str,
    wait_seconds: float | None,
    is_checking: bool,
) -> None:
    """Publish contact events from JSON Lines, or made-up ones."""
    if (source is None) == (count is None):
        raise click.UsageError("name a FILE (or - for standard input), or say how many events to make up: --generate N")
    if is_checking:
        if source is None or wait_seconds is not None:
            raise click.UsageError("--check publishes nothing, so it goes neither with --generate nor with --wait")
        _check(source, config_file, key_field, headers)
        return
    try:
        kafka = kafka_settings(config_file, environment(), bootstrap_servers=bootstrap_servers)
    except BadBrokersError as error:
        raise click.BadParameter(str(error), param_hint="--bootstrap-servers") from None
    plan = Publication(
        source=source,
        count=count or 0,
        seed=seed,
        per_second=rate,
        key_field=key_field,
        headers=headers,
        wait_seconds=wait_seconds,
    )
    topic = topic or kafka.events_topics[0]
    _publish(kafka, topic, plan, Compression(compression), Partitioner(partitioner))


def _publish(kafka: Kafka, topic: str, plan: Publication, compression: Compression, partitioner: Partitioner) -> None:
    """Publish, and end as it went.

    Raises:
        Failure: something was not published, or was left out.
    """
    tally = Tally(places=PublishedPlaces(topic))
    publisher = TrafficPublisher(
        topic=topic,
        connection=connection_of(kafka),
        compression=compression,
        partitioner=partitioner,
        on_acknowledged=tally.places.add,
    )
    hush_client_library()
    try:
        asyncio.run(produce(publisher, kafka, plan, tally))
    except PublishError as error:
        raise Failure(str(error)) from error
    if tally.bad_lines:
        raise Failure(
            "1 bad line was left out" if tally.bad_lines == 1 else f"{tally.bad_lines:,} bad lines were left out"
        )


def _check(source: BinaryIO, config_file: Path | None, key_field: KeyField | None, headers: Headers) -> None:
    """Say what is wrong with lines.

    Raises:
        Failure: some are no valid events.
    """
    checker = LineChecker(policies(settings_without_platform(config_file, environment())), SystemClock().now())
    lines = wrong = 0
    for line in read_lines(source, key_field=key_field, headers=headers):
        lines += 1
        checked = checker.check(line)
        for words in (checked.mistake, *checked.remarks):
            if words is not None:
                click.echo(f"line {line.number}: {words}", err=True)
        wrong += checked.mistake is not None
    click.echo(f"checked {lines:,} lines, published nothing")
    if wrong:
        raise Failure("1 line is no valid event" if wrong == 1 else f"{wrong:,} lines are no valid events")

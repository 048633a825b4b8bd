"""`campaign-consumer produce`: publishes events from JSON Lines, or made-up ones. Never creates a topic."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from consumer.cli.main import Failure, FiniteRange, config_option, environment
from consumer.edge.clock import SystemClock
from consumer.traffic.connection import BadBrokersError, connection_of, hush_client_library, kafka_settings
from consumer.traffic.generator import generate
from consumer.traffic.lines import BadLine, KeyField, read_lines
from consumer.traffic.pace import in_batches, publish_all
from consumer.traffic.publisher import Compression, Partitioner, Publishable, PublishError, TrafficPublisher
from consumer.traffic.reader import lines_of
from consumer.traffic.record import Headers

BAD_LINES_SHOWN = 20
HELP = """Publish contact events from JSON Lines, or made-up ones.

Each line is an event, or {"key": ..., "value": ..., "headers": {...}} around one. An event without a key of its own is
keyed by its contact's external code, else by a hash of the phone, so that one person's events stay in order. Lines
that are not JSON objects are named and left out; the exit code is then 1.

\b
campaign-consumer produce events.jsonl
zcat events.jsonl.gz | campaign-consumer produce - --rate 500
campaign-consumer produce --generate 10000 --seed 7
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is to be published, and how."""

    source: BinaryIO | None
    count: int
    seed: int
    per_second: float | None
    key_field: KeyField | None
    headers: Headers


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was published so far, and what was left out."""

    bad_lines: int = 0
    partitions: set[int] = field(default_factory=set)
    stopped: bool = False


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


@click.command(help=HELP)
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
def command(
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
) -> None:
    """Publish contact events from JSON Lines, or made-up ones."""
    if (source is None) == (count is None):
        raise click.UsageError("name a FILE (or - for standard input), or say how many events to make up: --generate N")
    try:
        kafka = kafka_settings(config_file, environment(), bootstrap_servers=bootstrap_servers)
    except BadBrokersError as error:
        raise click.BadParameter(str(error), param_hint="--bootstrap-servers") from None
    topic = topic or kafka.events_topics[0]
    plan = Publication(
        source=source, count=count or 0, seed=seed, per_second=rate, key_field=key_field, headers=headers
    )
    tally = Tally()
    publisher = TrafficPublisher(
        topic=topic,
        connection=connection_of(kafka),
        compression=Compression(compression),
        partitioner=Partitioner(partitioner),
        on_acknowledged=lambda partition, _offset, _records: tally.partitions.add(partition),
    )
    hush_client_library()
    try:
        seconds = asyncio.run(_produce(publisher, plan, tally))
    except PublishError as error:
        raise Failure(str(error)) from error
    _print_summary(publisher, tally, seconds, topic)
    if tally.bad_lines:
        raise Failure(
            "1 bad line was left out" if tally.bad_lines == 1 else f"{tally.bad_lines:,} bad lines were left out"
        )


async def _produce(publisher: TrafficPublisher, plan: Publication, tally: Tally) -> float:
    """Publish everything, or until a signal comes; return the seconds that it took."""
    loop = asyncio.get_running_loop()
    await publisher.start()
    us = asyncio.current_task()
    assert us is not None
    loop.add_signal_handler(signal.SIGTERM, us.cancel)  # asyncio.run does the same for SIGINT
    started = loop.time()
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("publish", total=plan.count or None)
            try:
                await publish_all(
                    publisher,
                    _batches(plan, tally, console),
                    per_second=plan.per_second,
                    on_progress=lambda count: progress.advance(task, count),
                )
            except asyncio.CancelledError:
                us.uncancel()
                tally.stopped = True
                await publisher.finish()
        return loop.time() - started
    finally:
        await publisher.stop()


def _batches(plan: Publication, tally: Tally, console: Console) -> AsyncIterator[Sequence[Publishable]]:
    if plan.source is not None:
        return _from_lines(plan.source.fileno(), plan, tally, console)
    now = SystemClock().now().wall
    made_up = generate(count=plan.count, seed=plan.seed, now=now, per_second=plan.per_second)
    return in_batches(record._replace(headers=(*record.headers, *plan.headers)) for record in made_up)


async def _from_lines(
    descriptor: int, plan: Publication, tally: Tally, console: Console
) -> AsyncIterator[Sequence[Publishable]]:
    async for part in lines_of(descriptor):
        good: list[Publishable] = []
        for line in read_lines(
            part.lines, first_number=part.first_number, key_field=plan.key_field, headers=plan.headers
        ):
            if isinstance(line, BadLine):
                tally.bad_lines += 1
                if tally.bad_lines <= BAD_LINES_SHOWN:
                    console.print(f"line {line.number}: {line.why}", markup=False, highlight=False, soft_wrap=True)
            else:
                good.append(line)
        yield good


def _print_summary(publisher: TrafficPublisher, tally: Tally, seconds: float, topic: str) -> None:
    rate = publisher.published / seconds if seconds > 0 else 0.0
    where = f"{len(tally.partitions)} partition{'' if len(tally.partitions) == 1 else 's'} of {topic}"
    stopped = " (stopped by a signal)" if tally.stopped else ""
    click.echo(f"published {publisher.published:,} records to {where} in {seconds:.1f} s, {rate:,.0f}/s{stopped}")

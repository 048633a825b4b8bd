"""`campaign-consumer results`: finds results by what people know of an event, and follows them. Changes nothing."""

import asyncio
import signal
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from consumer.cli.main import MISUSED, Failure, config_option, environment
from consumer.cli.points import PointParam, point_of
from consumer.cli.results_output import JsonLines, ResultsTable, ResultsWriter
from consumer.cli.words import words_option
from consumer.lookup.points import NOWHERE, LogPoint
from schemas.send_result import ResultReason, ResultStatus

if TYPE_CHECKING:
    from config.settings import Kafka
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.lookup.results import PublishedResult, ResultFilter, WantedResults

LOOK_AGAIN_SECONDS: Final = 0.5
LINES_AT_ONCE: Final = 500
"""So many lines have one width of each column, and are written together."""

STATUSES: Final[tuple[str, ...]] = get_args(ResultStatus)
REASONS: Final[tuple[str, ...]] = get_args(ResultReason)

HELP = """Find results by what is known of an event, in the order of time; with --follow also those to come.

A result has to meet all kinds of criteria that are given, and one of each kind. A result that stands in the topic several
times is shown once. FROM and TO are when it was published: instants (2026-11-24T15:40:19Z), times before now
(-90m, -2h, -1d), or offsets of one --partition of the results topic. Without FROM all that retention has left is read.

Shown are the record's key and the external reference, the record itself as topic:partition:offset, and the platform's
words, masked. Results hold no phone number. --json prints each result as it was published, one a line.

\b
campaign-consumer results --event 0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1234
campaign-consumer results --campaign 421 --status rejected,failed --from -2h
campaign-consumer results --from -15m --follow
campaign-consumer results --reason contact_refused --json > refused.jsonl
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsQuestion:
    """The options, read."""

    wanted: "WantedResults"
    partitions: frozenset[int]
    since: LogPoint
    until: LogPoint
    limit: int | None
    is_following: bool


@click.command(help=HELP, short_help="Find results, and follow them.")
@config_option
@click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="Brokers, instead of KAFKA__BOOTSTRAP_SERVERS.")
@click.option("--event", "events", multiple=True, metavar="ID", help="Of this event; may be given again.")
@click.option("--reference", "references", multiple=True, metavar="TEXT", help="With this external reference.")
@click.option(
    "--campaign", "campaigns", type=click.IntRange(min=1), multiple=True, metavar="ID", help="Of this campaign."
)
@words_option("--status", "statuses", STATUSES, help_text="With this status.")
@words_option("--reason", "reasons", REASONS, help_text="With this reason.")
@click.option("--from", "since", type=PointParam(), metavar="FROM", help="First.  [default: the start of the log]")
@click.option(
    "--to", "until", type=PointParam(), metavar="TO", help="Past the last one.  [default: the end of the log]"
)
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="Only this partition of the results topic.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=100_000),
    metavar="N",
    help="Of what stands there now, only the N youngest.",
)
@click.option("--follow", "is_following", is_flag=True, help="Go on with new results, until a signal comes.")
@click.option("--json", "as_json", is_flag=True, help="Each result as it was published, one a line.")
def command(
    *,
    config_file: Path | None,
    bootstrap_servers: str | None,
    since: str | None,
    until: str | None,
    partitions: tuple[int, ...],
    limit: int | None,
    is_following: bool,
    as_json: bool,
    **criteria: tuple[Any, ...],
) -> None:
    """Find, show, follow."""
    from consumer.edge.clock import SystemClock
    from consumer.lookup.results import WantedResults
    from consumer.traffic.connection import BadBrokersError, hush_client_library, kafka_settings

    now = SystemClock().now().wall
    first, past = ((NOWHERE if text is None else point_of(text, now=now)) or NOWHERE for text in (since, until))
    if is_following and until is not None:
        raise click.UsageError("--follow has no end, so --to contradicts it: leave one out")
    if (first.offset is not None or past.offset is not None) and len(set(partitions)) != 1:
        raise click.UsageError("an offset says something in one partition alone: name it with --partition")
    question = ResultsQuestion(
        wanted=WantedResults(**{name: frozenset(values) for name, values in criteria.items()}),
        partitions=frozenset(partitions),
        since=first,
        until=past,
        limit=limit,
        is_following=is_following,
    )
    try:
        kafka = kafka_settings(config_file, environment(), bootstrap_servers=bootstrap_servers)
    except BadBrokersError as error:
        raise Failure(f"--bootstrap-servers {bootstrap_servers}: {error}", MISUSED) from None
    hush_client_library()
    work = _found(kafka, question, JsonLines() if as_json else ResultsTable())
    asyncio.run(_until_a_signal(work) if is_following else work)


class _Output:
    """What is found, on its way out: a few together, the youngest alone where there is a limit."""

    def __init__(self, writer: ResultsWriter, limit: int | None) -> None:
        self._writer = writer
        self._limited: deque[PublishedResult] | None = None if limit is None else deque(maxlen=limit)
        self._waiting: list[PublishedResult] = []
        self.written = 0

    def take(self, one: "PublishedResult") -> None:
        """Take the next one."""
        if self._limited is not None:
            self._limited.append(one)
            return
        self._waiting.append(one)
        if len(self._waiting) >= LINES_AT_ONCE:
            self.flush()

    def caught_up(self) -> None:
        """Write what is left of the past; what comes from now on has no limit."""
        if self._limited is not None:
            self._waiting.extend(self._limited)
            self._limited = None
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._writer.write(self._waiting)
            self.written += len(self._waiting)
            self._waiting.clear()


async def _found(kafka: "Kafka", question: ResultsQuestion, writer: ResultsWriter) -> None:
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError, reach
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.lookup.following import NoSuchPartitionError
    from consumer.service.ports import TopicGoneError
    from consumer.traffic.connection import connection_of

    connection = connection_of(kafka)
    logs = WholeLogs(connection, group=kafka.group_id, on_trouble=lambda why: click.echo(why, err=True))
    try:
        await reach(connection)
        await _read(logs, kafka.results_topic, question, _Output(writer, question.limit))
    except TopicGoneError as error:
        raise Failure(f"CAMPAIGN_KAFKA__RESULTS_TOPIC: {error}") from None
    except (KafkaRefusedError, KafkaUnreachableError, NoSuchPartitionError) as error:
        raise Failure(str(error)) from None
    finally:
        await logs.stop()


async def _read(logs: "WholeLogs", topic: str, question: ResultsQuestion, output: _Output) -> None:
    from consumer.cli.replay_progress import Bar
    from consumer.lookup.following import FollowedTopic
    from consumer.lookup.results import ResultFilter

    results = ResultFilter(question.wanted)
    with Bar() as bar:

        def tell(one: "PublishedResult") -> None:
            if question.limit is None:
                bar.stop()  # its line and ours would stand in one another's way
            output.take(one)

        followed = FollowedTopic(logs, topic, keep=results.keep, tell=tell, on_read=bar.advance)
        size = await followed.begin(partitions=question.partitions, since=question.since, until=question.until)
        bar.stage(topic, size)
        await followed.look()
    output.caught_up()
    if not question.is_following:
        _tell_totals(output, results, topic, size)
    while question.is_following:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        await followed.look()
        output.flush()


async def _until_a_signal(work: Coroutine[Any, Any, None]) -> None:
    """Do work that a signal ends: that is no failure of it, and no interruption."""
    loop, us = asyncio.get_running_loop(), asyncio.current_task()
    assert us is not None
    loop.add_signal_handler(signal.SIGTERM, us.cancel)  # asyncio.run does the same for SIGINT
    try:
        await work
    except asyncio.CancelledError:
        us.uncancel()


def _tell_totals(output: _Output, results: "ResultFilter", topic: str, size: int) -> None:
    few = "1 result" if output.written == 1 else f"{output.written:,} results"
    strange = f"; {results.strange:,} of them are no results" if results.strange else ""
    click.echo(f"{few}, of {size:,} records read from {topic}{strange}", err=True)

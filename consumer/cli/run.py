"""`campaign-consumer run`: builds the service from its settings and runs it until a signal. Decides nothing else."""

import asyncio
import gc
import math
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.main import INTERRUPTED, Failure, config_option, environment, load_settings, platform_proxy

if TYPE_CHECKING:
    from config import Settings
    from consumer.edge.telemetry.traces import RequestSpans
    from consumer.service.service import Service

    Traced = tuple[RequestSpans | None, str | None]
    """What makes spans, and what is to be known about that."""

STOPPING = (signal.SIGTERM, signal.SIGINT)

GC_THRESHOLDS = (10_000, 20, 20)
"""Events are structs without reference cycles: the garbage collector finds little and has a large heap to search."""


class UnfitError(Exception):
    """Topics are missing or unfit; the message has a line for each."""


@click.command()
@config_option
def command(*, config_file: Path | None) -> None:
    """Consume contact events and send campaigns until SIGTERM or SIGINT; then drain and stop.

    A second signal stops at once (exit code 130): the outcome of requests in flight is then unknown.
    """
    received = collect_signals()
    import uvloop

    from consumer.cli.last_words import chosen
    from consumer.edge.http_server import CannotListenError
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError
    from consumer.edge.kafka.reading.events_consumer import InstanceIdInUseError
    from consumer.edge.kafka.topics import TopicCreationError
    from consumer.edge.telemetry import log
    from consumer.inspection.journals import SharedJournalError
    from consumer.service.ports import TopicGoneError

    settings = load_settings(config_file)
    chosen(click.get_current_context(), log.configure(settings.log.format, settings.log.level))
    log.hear_strays()
    gc.set_threshold(*GC_THRESHOLDS)
    expected = (
        CannotListenError,
        InstanceIdInUseError,
        KafkaRefusedError,
        KafkaUnreachableError,
        SharedJournalError,
        TopicCreationError,
        TopicGoneError,
        UnfitError,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            interrupted = runner.run(_run(settings, received))
    except* expected as group:
        raise Failure("\n".join(str(error) for error in _leaves(group))) from None
    if interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def collect_signals() -> list[int]:
    """Collect signals during the imports, which take half a second; return the list that they are appended to.

    The second signal raises KeyboardInterrupt. The event loop's own handlers replace these later.
    """
    received: list[int] = []

    def collect(number: int, _frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    for number in STOPPING:
        signal.signal(number, collect)
    return received


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


async def _run(settings: "Settings", received: list[int]) -> bool:
    """Run the service; return whether a second signal has cut it short. `received` are signals that came before."""
    stop = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    joined, cut_short, over_at = False, False, math.inf

    def on_signal() -> None:
        nonlocal cut_short, over_at
        cut_short = stop.is_set()
        over_at = min(over_at, loop.time() + settings.shutdown.grace_seconds)
        stop.set()
        if cut_short or not joined:  # before it has joined there is nothing to drain
            task.cancel()

    for number in STOPPING:
        loop.add_signal_handler(number, on_signal)
    if received:
        return False
    try:
        async with (
            _traced(settings, lambda: 0.0 if cut_short else over_at - loop.time()) as spans,
            _service(settings, spans) as service,
        ):
            joined = True
            gc.collect()
            gc.freeze()  # objects that exist by now stay for ever: no collection needs to search them
            await service.run(stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    return cut_short


@asynccontextmanager
async def _traced(settings: "Settings", left_seconds: Callable[[], float]) -> "AsyncIterator[Traced]":
    """Yield what makes spans, if anything does; in the end it has what is left of the grace, and not long, for its export."""
    from consumer import __version__
    from consumer.cli.tracing import FLUSH_SECONDS, spans_of

    spans, note = spans_of(
        url=settings.api.url, group=settings.kafka.group_id, version=__version__, environ=environment()
    )
    try:
        yield spans, note
    finally:
        if spans is not None:
            spans.close(min(FLUSH_SECONDS, max(0.0, left_seconds())))


async def _look_at_journals(settings: "Settings") -> None:
    """Refuse to start on journals that belong to another group, before anything is written to them.

    Raises:
        SharedJournalError: they do.
    """
    from consumer.cli.inspect import topic_questions
    from consumer.core.terms import Partition
    from consumer.inspection.journals import refuse_foreign_journals
    from consumer.service.evidence import PartitionEvidence

    async with topic_questions(settings.kafka, []) as topics:
        counts = topics.journal_counts
        journals = [Partition(topic, number) for topic, count in counts.items() for number in range(count)]
        evidence = PartitionEvidence(events=topics.events, journal=topics.journal)
        await refuse_foreign_journals(evidence, journals, settings.kafka.group_id)


@asynccontextmanager
async def _service(settings: "Settings", traced: "Traced") -> "AsyncIterator[Service]":
    """Start the HTTP server, wait for the brokers, check the topics, and yield the service."""
    from config.contradictions import notes
    from consumer import __version__
    from consumer.cli.assembly import board_of, http_server_of, service_manager_of, service_of
    from consumer.cli.wiring import expectations, kafka_connection
    from consumer.edge.clock import SystemClock
    from consumer.edge.kafka.connection import until_reachable
    from consumer.edge.kafka.topics import create_topics, examine
    from consumer.edge.service_manager import ServiceManager
    from consumer.edge.telemetry.campaign_labels import CampaignLabels
    from consumer.edge.telemetry.send_telemetry import SendLines
    from consumer.edge.telemetry.telemetry import Telemetry

    proxy = platform_proxy(settings)
    clock, (spans, note_on_traces) = SystemClock(), traced
    sends = SendLines.AT_INFO if settings.log.sends else SendLines.AT_DEBUG
    labels = CampaignLabels(places=settings.metrics.campaign_labels, own=settings.campaigns)
    telemetry = Telemetry(clock=clock, version=__version__, campaigns=labels, sends=sends, spans=spans)
    service = service_of(settings, telemetry, clock, proxy)
    board = board_of(settings, service, telemetry)
    server = http_server_of(settings, service, board, telemetry)
    address = ServiceManager.address_in(environment())
    manager = None if address is None else service_manager_of(address, service, board)
    await server.start()
    try:
        kafka, connection, expected = settings.kafka, kafka_connection(settings), expectations(settings)
        telemetry.started(group=kafka.group_id, topics=kafka.all_events_topics, http_url=server.url)
        if proxy is not None:
            telemetry.noted(f"the platform is reached by {proxy}")
        for note in (*notes(settings), *([note_on_traces] if note_on_traces else [])):
            telemetry.noted(note)
        await until_reachable(connection, on_trouble=lambda why: telemetry.kafka_trouble(why=why))
        if kafka.create_topics:
            await create_topics(connection, expected)
        findings = [found for found in await examine(connection, expected) if not found.is_note]
        obstacles = [str(found) for found in findings if found.stops_run]
        if obstacles:
            raise UnfitError("\n".join(obstacles))
        for found in findings:
            telemetry.noted(str(found))
        await _look_at_journals(settings)
        yield service
    finally:
        if manager is not None:
            manager.close()
        await server.stop()

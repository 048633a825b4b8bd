"""`campaign-consumer audit`: proves the promises from events, journal and results. Writes nothing, joins no group."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.audit.run import AuditPoint
from consumer.cli.main import FAILED, MISUSED, Failure, config_option, environment
from consumer.cli.points import instant_ms_of, offset_of

if TYPE_CHECKING:
    from config.settings import Settings
    from consumer.audit.run import Audit, AuditQuestion
    from consumer.edge.kafka.reading.whole_logs import WholeLogs

TABLE_COLUMNS = 110

HELP = """Prove the promises from the content of the topics: events, journal, results and dead letters.

Every record below the committed offset must have exactly one outcome in the journal, and a result that says the same.
A contact that may have been texted twice must be marked. There must be no outcome or result without a record. Records
from the committed offset on are checked if they are settled; --complete demands that all of them are settled.

The exit code is 0 if everything is proven, 1 if anything is wrong. Each violation is named with topic, partition and
offset. The audit reads whole topics and needs some 200 bytes of memory for each record of a partition's range; --from
and --to narrow the range, by offset or by instant.

No request may have started more than 2 s after its campaign was held (campaigns hold), as far as the control topic still
tells of the hold.

\b
campaign-consumer audit
campaign-consumer audit --json --complete
campaign-consumer audit --topic contact-events --partition 3 --from 1800000
campaign-consumer audit --from 2026-11-24T15:00:00Z --to 2026-11-24T16:00:00Z
"""


class _Point(click.ParamType[AuditPoint]):
    name = "OFFSET|INSTANT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> AuditPoint:
        """Return the offset or the instant that was asked for."""
        if isinstance(value, AuditPoint):
            return value
        text = str(value)
        if (offset := offset_of(text)) is not None:
            return AuditPoint(offset=offset)
        if (timestamp_ms := instant_ms_of(text)) is None:
            self.fail(f"{text!r} is neither an offset nor an instant such as 2026-11-24T15:40:19Z", param, ctx)
        return AuditPoint(timestamp_ms=timestamp_ms)


@click.command(help=HELP, short_help="Prove the promises from events, journal and results; exit 1 names violations.")
@config_option
@click.option("--topic", "topics", multiple=True, help="Only this events topic; may be repeated.")
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    help="Only this partition; may be repeated.",
)
@click.option(
    "--from", "since", type=_Point(), default=AuditPoint(), show_default="the start of the log", help="First record."
)
@click.option(
    "--to", "until", type=_Point(), default=AuditPoint(), show_default="the end of the log", help="Past the last one."
)
@click.option("--complete", "is_complete", is_flag=True, help="All records of the range must be settled and published.")
@click.option("--json", "as_json", is_flag=True, help="A report for scripts, on stdout.")
def command(
    *,
    config_file: Path | None,
    topics: tuple[str, ...],
    partitions: tuple[int, ...],
    since: AuditPoint,
    until: AuditPoint,
    is_complete: bool,
    as_json: bool,
) -> None:
    """Run the audit, print its report, and exit with its code."""
    from dataclasses import replace

    import orjson
    from rich.console import Console

    from consumer.audit.report import report_of
    from consumer.audit.show import show
    from consumer.traffic.connection import hush_client_library, settings_without_platform

    settings = settings_without_platform(config_file, environment())
    question = replace(
        _question(settings, topics),
        partitions=frozenset(partitions),
        since=since,
        until=until,
        is_complete=is_complete,
    )
    hush_client_library()
    found = asyncio.run(_audit(settings, question))
    if as_json:
        click.echo(orjson.dumps(report_of(found)).decode())
    else:
        console = Console()
        console.width = max(console.width, TABLE_COLUMNS)  # wrapped lines are better than numbers that are cut
        show(console, found)
    if not found.proven:
        raise click.exceptions.Exit(FAILED)


def _question(settings: "Settings", topics: tuple[str, ...]) -> "AuditQuestion":
    from consumer.audit.run import AuditQuestion

    kafka = settings.kafka
    unknown = sorted(set(topics) - set(kafka.all_events_topics))
    if unknown:
        message = (
            f"--topic {unknown[0]}: CAMPAIGN_KAFKA__EVENTS_TOPICS and CAMPAIGN_KAFKA__URGENT_TOPICS have no such topic "
            f"({', '.join(kafka.all_events_topics)})"
        )
        raise Failure(message, MISUSED)
    return AuditQuestion(
        group=kafka.group_id,
        journals={topic: settings.journal_topic(topic) for topic in topics or kafka.all_events_topics},
        results=kafka.results_topic,
        dead_letters=kafka.dead_letter_topic,
        ttl_ms=round(settings.deduplication.ttl_seconds * 1000),
        max_entries=settings.deduplication.max_entries,
    )


async def _with_control(question: "AuditQuestion", topic: str, logs: "WholeLogs") -> "AuditQuestion":
    """Return the question with the control topic, where there is one: an earlier version had none."""
    from dataclasses import replace

    from consumer.service.ports import TopicGoneError

    try:
        await logs.partitions(topic)
    except TopicGoneError:
        return question
    return replace(question, control=topic)


async def _audit(settings: "Settings", question: "AuditQuestion") -> "Audit":
    from consumer.audit.run import NotThereError, TooShortRetentionError, audit
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError, reach
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.service.ports import TopicGoneError
    from consumer.traffic.connection import connection_of

    connection = connection_of(settings.kafka)
    logs = WholeLogs(connection, group=settings.kafka.group_id, on_trouble=lambda why: click.echo(why, err=True))
    try:
        await reach(connection)
        question = await _with_control(question, settings.kafka.control_topic_name, logs)
        return await audit(question, logs, on_partition=lambda _findings: None)
    except NotThereError as error:
        raise Failure(f"--partition: {error}", MISUSED) from None
    except (KafkaRefusedError, KafkaUnreachableError, TooShortRetentionError, TopicGoneError) as error:
        raise Failure(str(error)) from None
    finally:
        await logs.stop()

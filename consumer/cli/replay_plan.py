"""`campaign-consumer replay plan`: shows what a resend would do, and writes it down. Changes nothing anywhere."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.cli.main import Failure, FiniteRange, config_option, environment
from consumer.cli.points import PointParam
from consumer.cli.words import words_option

if TYPE_CHECKING:
    from config import Settings
    from consumer.cli.replay_question import Asked
    from consumer.core.terms import Now
    from consumer.replay.document import Plan
    from consumer.replay.planning import Drawn
    from consumer.replay.ranges import PlanQuestion

TABLE_COLUMNS = 160
OWNER_ALONE = 0o600
STATUSES = ("failed", "rejected", "expired", "cancelled", "superseded", "in_doubt", "accepted")
REFUSED = {
    "invalid": "an invalid record cannot be sent again as it is: use --dead-letters",
    "duplicate": "a duplicate repeats an event that has an outcome of its own: name that outcome",
}

HELP = """Show what a resend would do: who is left out and why, how many texts to how many people.

Each selected record is joined with what became of its event: in the results topic, in the journal where the result is
gone, and in what earlier resends of it have brought. Nothing is published and nothing changes. With --output the plan
becomes a file for `replay run`; it holds no phone, no code and no event.

FROM and TO are instants (2026-11-24T15:40:19Z), times before now (-90m, -2h, -1d), or offsets, which need --topic and
--partition. An event is selected if it meets all kinds of criteria that are given, and one of each kind.

\b
Everything that the last two hours have left unsent:
  campaign-consumer replay plan --from -2h --output plan.json
One campaign again to those who got it, but not to some:
  campaign-consumer replay plan --campaign 421 --from -1d \\
    --status accepted --include-accepted --exclude complaints.txt
What a forward move of the group has passed over:
  campaign-consumer replay plan --skipped
Dead letters, to be mended by hand and published:
  campaign-consumer replay plan --dead-letters --edit letters.jsonl
  campaign-consumer produce letters.jsonl

\b
The table's columns (in brackets: the name in --json)
  selected          all that meet the criteria: the sum of those up to
                    "would send"
  already accepted  by its own request or an earlier resend (alreadyAccepted)
  in doubt          a request may have been received (inDoubt)
  unsettled         no outcome yet, of the event or of a resend
  expired           its deadline has passed
  repeated          another record of the same event stands for it
  invalid           no valid event
  excluded          named in --exclude
  would send        what `replay run` publishes (wouldSend)
  people            who would get these texts
  second texts      of these people, those for whom it is not the first of
                    this campaign, as far as this selection tells
                    (secondTexts)
"""


class _Duration(click.ParamType[float]):
    name = "DURATION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        from config.durations import parse_duration

        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds <= 0:
            self.fail("must be longer than nothing", param, ctx)
        return seconds


@click.command("plan", help=HELP, short_help="Show what a resend would do; changes nothing.")
@config_option
@click.option(
    "--from", "since", type=PointParam(), metavar="FROM", help="First record.  [default: the start of the log]"
)
@click.option(
    "--to", "until", type=PointParam(), metavar="TO", help="Past the last one.  [default: the end of the log]"
)
@click.option("--topic", "topics", multiple=True, metavar="TOPIC", help="Only this events topic; may be given again.")
@click.option(
    "--partition", "partitions", type=click.IntRange(min=0), multiple=True, metavar="N", help="Only this partition."
)
@click.option(
    "--campaign", "campaigns", type=click.IntRange(min=1), multiple=True, metavar="ID", help="Only this campaign."
)
@click.option("--event-type", "event_types", multiple=True, metavar="TYPE", help="Only events of this type.")
@click.option("--event", "events", multiple=True, metavar="ID", help="Only the event with this ID.")
@click.option(
    "--events",
    "event_files",
    type=click.File("r", "utf-8-sig"),
    multiple=True,
    metavar="FILE",
    help="The same, an ID a line.",
)
@click.option("--contact", "contacts", multiple=True, metavar="PHONE|CODE", help="Only events for this person.")
@click.option(
    "--exclude",
    "exclude_files",
    type=click.File("r", "utf-8-sig"),
    multiple=True,
    metavar="FILE",
    help="Leave these out: event IDs, phones, codes, one a line.",
)
@words_option(
    "--status",
    "statuses",
    STATUSES,
    refused=REFUSED,
    help_text="What may have become of it.  [default: failed,rejected,expired,cancelled]",
)
@click.option("--include-accepted", is_flag=True, help="With --status accepted: people get a text that they have had.")
@click.option("--skipped", "only_skipped", is_flag=True, help="Only what a forward move of the group has passed over.")
@click.option("--dead-letters", "only_dead_letters", is_flag=True, help="Only what stands in the dead-letter topic.")
@click.option("--reason-contains", metavar="TEXT", help="With --dead-letters: only where the reason holds this.")
@click.option(
    "--edit",
    "edit_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --dead-letters: write them for `produce`.",
)
@click.option(
    "--extend-expiry",
    type=_Duration(),
    metavar="DURATION",
    help="A new deadline where it has passed, from publication on.",
)
@click.option(
    "--rate",
    type=FiniteRange(min=0, min_open=True),
    metavar="N",
    help="Records a second, to say how long it takes.",
)
@click.option(
    "--output",
    "output_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the plan here, for `replay run`.",
)
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON, on stdout.")
def command(
    *,
    config_file: Path | None,
    rate: float | None,
    edit_file: Path | None,
    output_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Read, join, show."""
    from consumer.cli.replay_question import Asked, frame_of, question_of
    from consumer.edge.clock import SystemClock
    from consumer.replay.sealing import seal
    from consumer.traffic.connection import hush_client_library, settings_without_platform

    asked = Asked(**options)
    _check_usage(asked, edit_file)
    settings = settings_without_platform(config_file, environment())
    now = SystemClock().now()
    question, selection = question_of(settings, asked, now)
    hush_client_library()
    drawn = asyncio.run(_draw_up(settings, question, now))
    plan = seal(drawn, frame_of(settings, selection, now, rate))
    if edit_file is not None:
        _write_letters(edit_file, drawn)
    _tell(plan, output_file, as_json=as_json)


def _check_usage(asked: "Asked", edit_file: Path | None) -> None:
    """Refuse what contradicts itself, before anything is read."""
    accepted = "accepted" in asked.statuses
    if accepted and not asked.include_accepted:
        raise click.UsageError("--status accepted sends people a text that they have had: add --include-accepted")
    if asked.include_accepted and not accepted:
        raise click.UsageError("--include-accepted goes with --status accepted")
    if asked.only_skipped and asked.only_dead_letters:
        raise click.UsageError("--skipped and --dead-letters select different records: plan them one after the other")
    if not asked.only_dead_letters:
        for name, value in (("--reason-contains", asked.reason_contains), ("--edit", edit_file)):
            if value is not None:
                raise click.UsageError(f"{name} goes with --dead-letters")
    if edit_file is not None and edit_file.exists():
        raise click.UsageError(f"--edit: {edit_file} is there and may hold somebody's work: name another file")


async def _draw_up(settings: "Settings", question: "PlanQuestion", now: "Now") -> "Drawn":
    from consumer.cli.replay_progress import Bar
    from consumer.cli.wiring import policies
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError, reach
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.replay.planning import draw_up
    from consumer.replay.ranges import NothingToPlanError
    from consumer.service.ports import TopicGoneError
    from consumer.traffic.connection import connection_of

    connection = connection_of(settings.kafka)
    logs = WholeLogs(connection, group=settings.kafka.group_id, on_trouble=lambda why: click.echo(why, err=True))
    try:
        await reach(connection)
        with Bar() as bar:
            return await draw_up(question, logs, policies=policies(settings), now=now, progress=bar)
    except (KafkaRefusedError, KafkaUnreachableError, NothingToPlanError, TopicGoneError) as error:
        raise Failure(str(error)) from None
    finally:
        await logs.stop()


def _write_letters(file: Path, drawn: "Drawn") -> None:
    """Write dead letters down for their owner alone to read: people's data stands in there."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ALONE)
        with os.fdopen(descriptor, "wb") as opened:
            opened.writelines(drawn.lines)
    except OSError as error:
        raise Failure(f"--edit: {file} cannot be written: {error.strerror}") from None
    topics = [f" --topic {topic}" for topic in drawn.letters_of] or [""]
    click.echo(f"{len(drawn.lines):,} dead letters written to {file}, which holds people's data", err=True)
    click.echo(f"Mend them there, then: campaign-consumer produce {file}{topics[0]}", err=True)


def _tell(plan: "Plan", output_file: Path | None, *, as_json: bool) -> None:
    from rich.console import Console

    from consumer.replay.document import document_of
    from consumer.replay.show import show

    document = document_of(plan)
    if output_file is not None:
        try:
            output_file.write_bytes(document)
        except OSError as error:
            raise Failure(f"--output: {output_file} cannot be written: {error.strerror}") from None
    if as_json:
        click.echo(document.decode(), nl=False)
        return
    console = Console()
    console.width = max(console.width, TABLE_COLUMNS)  # rather broken lines than numbers cut short
    show(console, plan, saved_as=None if output_file is None else str(output_file))

"""`campaign-consumer replay run`: publishes what a plan says, each record once. Decides nothing that the plan has not."""

import asyncio
import getpass
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.main import FAILED, MISUSED, Failure, FiniteRange, config_option, environment

if TYPE_CHECKING:
    from consumer.edge.kafka.connection import KafkaConnection
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.replay.document import Plan
    from consumer.replay.publishing import ResendMarks
    from consumer.replay.run import Prepared

HELP = """Publish the records of PLAN again, each of them once.

PLAN is a file of `replay plan --output`. Each record goes to the partition of its original, with its key, value and
headers, and with the headers resend-id, resend-reason and resend-operator beside them.

First the plan is checked against the topics: if a record is gone or changed, nothing is published. Whom the text has
reached since the plan was made, by another resend, is left out. Events that are on their way are waited for, for 30
seconds, then left out. Then the number of texts has to be typed.

A run that ends early, however it ends, is run again: it goes on where it stopped. Of two runs at once the later one
goes on, and the earlier one ends.

\b
campaign-consumer replay run plan.json --dry-run
campaign-consumer replay run plan.json --rate 200
campaign-consumer replay run plan.json --yes --json --operator cron
"""


@click.command("run", help=HELP, short_help="Publish what a plan says, each record once.")
@config_option
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option(
    "--rate",
    "per_second",
    type=FiniteRange(min=0, min_open=True),
    metavar="RECORDS_PER_SECOND",
    help="No faster than this.  [default: as fast as the brokers take them]",
)
@click.option("--operator", metavar="NAME", help="Who resends.  [default: the user of this shell]")
@click.option("--reason", metavar="TEXT", help="Why; stands in every result. A plan with --include-accepted needs one.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask for the number of texts.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Check and count; publish nothing.")
@click.option("--json", "as_json", is_flag=True, help="A report for scripts, on stdout.")
def command(
    *,
    config_file: Path | None,
    plan_file: Path,
    per_second: float | None,
    operator: str | None,
    reason: str | None,
    is_agreed: bool,
    is_dry: bool,
    as_json: bool,
) -> None:
    """Check, ask, publish, report."""
    import orjson

    from consumer.replay.publishing import ResendMarks, report_of
    from consumer.replay.rows import RowState
    from consumer.traffic.connection import connection_of, hush_client_library, settings_without_platform

    plan = read_plan(plan_file)
    if plan.needs_reason and not reason:
        raise click.UsageError("this plan sends people a text that they have had: say why with --reason")
    connection = connection_of(settings_without_platform(config_file, environment()).kafka)
    marks = ResendMarks(
        resend_id=plan.resend_id,
        reason=reason or "replay",
        operator=operator or _user(),
        extend_expiry_seconds=plan.extend_expiry_seconds,
    )
    hush_client_library()
    prepared = asyncio.run(_prepare(plan, connection))
    standing, rest = prepared.published, prepared.count(RowState.TO_PUBLISH)
    _tell(prepared)
    published = 0
    if rest and not is_dry:
        if not is_agreed:
            _ask(rest)
        try:
            published, standing = asyncio.run(_publish(prepared, connection, marks, per_second))
        except asyncio.CancelledError:
            raise click.exceptions.Exit(FAILED) from None  # SIGTERM; what there is to say is said
    if as_json:
        left_out = prepared.count(RowState.LEFT_OUT)
        report = report_of(plan.resend_id, published=published, standing=standing, left_out=left_out)
        click.echo(orjson.dumps(report).decode())
    elif is_dry:
        click.echo(f"dry run: {rest:,} records would be published, and none was")
    else:
        click.echo(f"published {published:,} records as {plan.resend_id}" if rest else "nothing is left to do")
        click.echo(f"Follow them: campaign-consumer replay status {plan_file} --wait", err=True)


def _user() -> str:
    with suppress(KeyError, OSError):  # a container may run as somebody without a name
        return getpass.getuser()
    return "unknown"


def read_plan(plan_file: Path) -> "Plan":
    """Return the plan that a file holds.

    Raises:
        Failure: it cannot be read, or holds none.
    """
    from consumer.replay.document import NotAPlanError, plan_of

    try:
        return plan_of(plan_file.read_bytes())
    except OSError as error:
        raise Failure(f"{plan_file} cannot be read: {error.strerror}", MISUSED) from None
    except NotAPlanError as error:
        raise Failure(f"{plan_file}: {error}") from None


def _tell(prepared: "Prepared") -> None:
    from consumer.replay.rows import RowState

    plan, rest, left_out = prepared.plan, prepared.count(RowState.TO_PUBLISH), prepared.count(RowState.LEFT_OUT)
    click.echo(f"{plan.resend_id}, planned {plan.made_at}", err=True)
    if prepared.published:
        click.echo(f"{prepared.published:>12,}  published by an earlier run of this plan", err=True)
    if left_out:
        click.echo(
            f"{left_out:>12,}  left out: the text has reached them since the plan was made, or is on its way", err=True
        )
    people = f", to {plan.counts.people:,} people" if rest == plan.counts.would_send and plan.counts.people else ""
    click.echo(f"{rest:>12,}  texts to send{people}", err=True)


def _ask(count: int) -> None:
    """Have the number of texts typed.

    Raises:
        Failure: it was another one, or nobody was there.
    """
    try:
        typed = click.prompt("Type the number of texts to send them", err=True, prompt_suffix=": ")
    except click.Abort:
        raise Failure("nobody typed the number of texts (--yes for scripts); nothing was published") from None
    if typed.replace(",", "").replace(" ", "").strip() != str(count):
        raise Failure(f"that was not {count:,}; nothing was published")


@contextmanager
def _in_a_line() -> Iterator[None]:
    """Let what an operator can mend, or has to know, end the command in a line."""
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError
    from consumer.edge.kafka.transactions import FencedError, NotCommittedError, RefusedRecordsError
    from consumer.replay.publishing import ChangedMeanwhileError
    from consumer.replay.run import RefusedPlanError
    from consumer.replay.tail import HeldUpError
    from consumer.service.ports import TopicGoneError

    try:
        yield
    except asyncio.CancelledError:
        _say("stopped; what is published stays published: run it again to go on")
        raise
    except FencedError:
        raise Failure(
            "another run of this plan has taken over, or the brokers took this one for gone; "
            "run it again to see what is left: each record is published once"
        ) from None
    except NotCommittedError as error:
        raise Failure(f"the brokers do not take it ({error}); run it again: each record is published once") from None
    except (
        ChangedMeanwhileError,
        HeldUpError,
        KafkaRefusedError,
        KafkaUnreachableError,
        RefusedPlanError,
        RefusedRecordsError,
        TopicGoneError,
    ) as error:
        raise Failure(str(error)) from None


async def _prepare(plan: "Plan", connection: "KafkaConnection") -> "Prepared":
    from consumer.cli.replay_progress import Bar
    from consumer.edge.kafka.connection import reach
    from consumer.replay.run import prepare

    logs = _logs(plan, connection)
    try:
        with _in_a_line(), Bar() as bar:
            await reach(connection)
            return await prepare(plan, logs, progress=bar, on_trouble=_say)
    finally:
        await logs.stop()


async def _publish(
    prepared: "Prepared", connection: "KafkaConnection", marks: "ResendMarks", per_second: float | None
) -> tuple[int, int]:
    """Return how many records were published, and how many stood there before."""
    from consumer.cli.replay_progress import Bar
    from consumer.edge.clock import SystemClock
    from consumer.edge.kafka.transactions import TransactionalProducer
    from consumer.replay.publishing import Publishing
    from consumer.replay.rows import RowState

    clock, logs = SystemClock(), _logs(prepared.plan, connection)
    producer = TransactionalProducer(connection, name=f"campaign-{prepared.plan.resend_id}", on_trouble=_say)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        with _in_a_line(), Bar("publishing") as bar:
            bar.stage("records", prepared.count(RowState.TO_PUBLISH))
            publishing = Publishing(
                prepared,
                logs,
                producer,
                marks,
                per_second=per_second,
                wall=lambda: clock.now().wall,
                on_published=bar.advance,
                on_trouble=_say,
            )
            left_out = prepared.count(RowState.LEFT_OUT)
            published = await publishing.run()
            left_out = prepared.count(RowState.LEFT_OUT) - left_out
            if left_out:
                _say(f"{left_out:,} more left out: the text has reached them since you were asked, or is on its way")
            return published, publishing.before
    finally:
        await producer.stop()
        await logs.stop()


def _logs(plan: "Plan", connection: "KafkaConnection") -> "WholeLogs":
    from consumer.edge.kafka.reading.whole_logs import WholeLogs

    return WholeLogs(connection, group=plan.group, on_trouble=_say)


class _Voice:
    """Says on stderr what is waited for, and not again what it has just said."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, what: str) -> None:
        """Say it."""
        if what != self._said:
            click.echo(what, err=True)
        self._said = what


_say = _Voice()

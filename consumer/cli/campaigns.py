"""`campaign-consumer campaigns`: holds, releases, lists and cancels, for every instance of the group. Sends nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.cli.main import MISUSED, Failure, FiniteRange, config_option, environment

if TYPE_CHECKING:
    from config.settings import Kafka
    from consumer.campaigns.control_session import ControlSession
    from consumer.core.platform.control import Cancellation
    from consumer.core.terms import Instant

brokers_option = click.option(
    "--bootstrap-servers", metavar="HOST:PORT", help="Brokers, instead of KAFKA__BOOTSTRAP_SERVERS."
)
operator_option = click.option("--operator", metavar="NAME", help="Who you are.  [default: your user name here]")
reason_option = click.option("--reason", metavar="TEXT", required=True, help="Why, for those who ask later.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _Campaign(click.IntRange):
    """A campaign's ID."""

    name = "campaign"

    def __init__(self) -> None:
        super().__init__(min=1, max=2**63 - 1)

    def _describe_range(self) -> str:
        return ""  # what a campaign's ID is needs no words in the help


@click.group(short_help="Hold, release, list and cancel campaigns: every instance obeys within 2 s.")
def command() -> None:
    r"""Hold, release, list and cancel campaigns.

    Every instance of the group obeys within 2 seconds, and after a restart. What is in flight is not
    touched: it ends as it ends.

    \b
    campaign-consumer campaigns hold 421 --reason "wrong template"
    campaign-consumer campaigns list
    campaign-consumer campaigns cancel --campaign 421 --reason "wrong template"
    campaign-consumer campaigns release 421
    """


@command.command(short_help="Start no request of these campaigns; their events wait.")
@click.argument("campaigns", metavar="[ID]...", nargs=-1, type=_Campaign())
@click.option("--all", "everything", is_flag=True, help="Hold everything: the stop-everything switch.")
@reason_option
@click.option("--reject", is_flag=True, help="Let their events settle rejected (held) at once, and not wait.")
@operator_option
@brokers_option
@config_option
def hold(
    *,
    campaigns: tuple[int, ...],
    everything: bool,
    reason: str,
    reject: bool,
    operator: str | None,
    bootstrap_servers: str | None,
    config_file: Path | None,
) -> None:
    """Start no request of these campaigns, or of any (--all), until they are released.

    Their events wait, up to their deadline, and other campaigns go on. A second hold of a campaign takes the place
    of the first one. A hold of --all and one of a campaign are two holds.
    """
    from consumer.campaigns.report import held

    chosen = _chosen(campaigns, everything=everything)
    name, why = _named(operator), _text("--reason", reason)

    async def work(session: "ControlSession", now: "Instant") -> None:
        for line in held(await session.hold(chosen, reject=reject, reason=why, operator=name, now=now)):
            click.echo(line)

    _at_desk(config_file, bootstrap_servers, work)


@command.command(short_help="Let held campaigns go on.")
@click.argument("campaigns", metavar="[ID]...", nargs=-1, type=_Campaign())
@click.option("--all", "everything", is_flag=True, help="Lift the hold of everything; those of campaigns stay.")
@click.option("--reason", metavar="TEXT", help="Why, for those who ask later.")
@operator_option
@brokers_option
@config_option
def release(
    *,
    campaigns: tuple[int, ...],
    everything: bool,
    reason: str | None,
    operator: str | None,
    bootstrap_servers: str | None,
    config_file: Path | None,
) -> None:
    """Let held campaigns go on, or lift the hold of everything (--all).

    A campaign that is held by itself and by --all goes on when both are lifted. --all also lifts what nobody can
    read in the control topic.
    """
    from consumer.campaigns.report import whose

    chosen = _chosen(campaigns, everything=everything)
    name, why = _named(operator), None if reason is None else _text("--reason", reason)

    async def work(session: "ControlSession", now: "Instant") -> None:
        done = await session.release(chosen, reason=why, operator=name, now=now)
        for campaign_id in dict.fromkeys(hold.campaign_id for hold in done.holds):
            click.echo(f"{whose(campaign_id)} released: its requests start again within 2 s")
        for campaign_id in done.others:
            click.echo(f"campaign {campaign_id} was not held")
        if everything and not done.holds:
            click.echo("everything together was not held")
        left = session.holds.holds()
        if not everything and any(hold.campaign_id is None for hold in left):
            click.echo("still held: everything; to lift that: campaign-consumer campaigns release --all")
        if everything and (still := [str(one.campaign_id) for one in left if one.campaign_id is not None]):
            click.echo(f"still held by themselves: campaigns {', '.join(still)}")

    _at_desk(config_file, bootstrap_servers, work)


@command.command("list", short_help="Show what is held and what was cancelled.")
@json_option
@brokers_option
@config_option
def show(*, as_json: bool, bootstrap_servers: str | None, config_file: Path | None) -> None:
    """Show what is held and what was cancelled: who, why, since when.

    Cancellations are shown for KAFKA__MAX_EVENT_AGE: as long as they are obeyed.
    """
    from consumer.campaigns.report import table
    from consumer.service.holding import holds_status

    async def work(session: "ControlSession", now: "Instant") -> None:
        if as_json:
            click.echo(_json(holds_status(session.holds)))
            return
        for line in table(session.holds, now):
            click.echo(line)

    _at_desk(config_file, bootstrap_servers, work)


@command.command(short_help="Settle what has not started of events or campaigns.")
@click.option("--event", "events", metavar="ID", multiple=True, help="An event; repeatable.")
@click.option("--campaign", "campaigns", metavar="ID", multiple=True, type=_Campaign(), help="A campaign; repeatable.")
@reason_option
@click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=FiniteRange(min=0, min_open=True),
    help="Say of each event what became of it, for so long at most.",
)
@json_option
@operator_option
@brokers_option
@config_option
def cancel(
    *,
    events: tuple[str, ...],
    campaigns: tuple[int, ...],
    reason: str,
    wait_seconds: float | None,
    as_json: bool,
    operator: str | None,
    bootstrap_servers: str | None,
    config_file: Path | None,
) -> None:
    """Settle events cancelled (operator), as far as they were published before now and have not started.

    What has started is not touched, and --wait says so: it finds the outcome of each --event in the results topic.
    With --wait the exit code is 1 where an event has no outcome when the time is over. What is published later goes
    out, also when it is the same event again. One whose request may have been received settles in_doubt.
    """
    from consumer.campaigns.report import cancel_document, outcome_lines
    from consumer.campaigns.session import follow
    from consumer.traffic.connection import connection_of

    _check_named(events, campaigns, wait_seconds)
    name, why = _named(operator), _text("--reason", reason)
    kafka = _kafka(config_file, bootstrap_servers)
    pending: list[str] = []

    async def work(session: "ControlSession", now: "Instant") -> None:
        done = await session.cancel(events, campaigns, reason=why, operator=name, now=now)
        if not as_json:
            _tell_cancelled(done)
        outcomes = (
            None if wait_seconds is None else await follow(kafka, connection_of(kafka), events, now, wait_seconds)
        )
        if outcomes is not None:
            pending.extend(outcomes.pending)
        if as_json:
            click.echo(_json(cancel_document(done, outcomes)))
        elif outcomes is not None:
            for line in outcome_lines(outcomes.found, outcomes.pending):
                click.echo(line)

    _at_desk(config_file, bootstrap_servers, work)
    if pending:
        few = "1 event has" if len(pending) == 1 else f"{len(pending)} events have"
        raise Failure(
            f"{few} no outcome after {wait_seconds:g} s: the cancellation stands, and is obeyed when it is its turn"
        )


def _tell_cancelled(done: "Sequence[Cancellation]") -> None:
    for one in done:
        what = f"event {one.event_id}" if one.event_id is not None else f"campaign {one.campaign_id}"
        click.echo(f"{what} is cancelled, as far as it was published before now and has not started")


# ---------------------------------------------------------------- arguments


def _chosen(campaigns: Sequence[int], *, everything: bool) -> Sequence[int | None]:
    if everything is bool(campaigns):
        raise Failure("name campaigns by their IDs, or everything by --all: one of the two", MISUSED)
    return [None] if everything else list(campaigns)


def _named(operator: str | None) -> str:
    if operator is not None:
        return _text("--operator", operator)
    try:
        return getuser()[:100]
    except (KeyError, OSError):
        raise Failure("this user has no name: say who you are with --operator NAME", MISUSED) from None


def _text(option: str, value: str) -> str:
    """Check what everybody may read: logs, metrics and pages hold no phone number."""
    from consumer.core.platform.control import MAX_TEXT_CHARACTERS
    from consumer.core.platform.masking import masked

    text = " ".join(value.split())
    if not text or len(text) > MAX_TEXT_CHARACTERS:
        raise Failure(f"{option}: must be 1 to {MAX_TEXT_CHARACTERS} characters", MISUSED)
    if masked(text) != text:
        raise Failure(f"{option}: must hold no phone number, nor as many digits: logs and pages show it", MISUSED)
    return text


def _check_named(events: Sequence[str], campaigns: Sequence[int], wait_seconds: float | None) -> None:
    from consumer.core.platform.control import MAX_EVENT_ID_CHARACTERS

    if not events and not campaigns:
        raise Failure("name what to cancel: --event ID or --campaign ID", MISUSED)
    if wait_seconds is not None and not events:
        raise Failure("--wait tells of events: name them with --event ID", MISUSED)
    if not all(1 <= len(event_id) <= MAX_EVENT_ID_CHARACTERS for event_id in events):
        raise Failure(f"--event: an event's ID has 1 to {MAX_EVENT_ID_CHARACTERS} characters", MISUSED)


def _kafka(config_file: Path | None, bootstrap_servers: str | None) -> "Kafka":
    from consumer.traffic.connection import BadBrokersError, kafka_settings

    try:
        return kafka_settings(config_file, environment(), bootstrap_servers=bootstrap_servers)
    except BadBrokersError as error:
        raise Failure(f"--bootstrap-servers {bootstrap_servers}: {error}", MISUSED) from None


def _json(document: Any) -> str:
    import orjson

    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


# ---------------------------------------------------------------- work


def _at_desk(
    config_file: Path | None,
    bootstrap_servers: str | None,
    work: "Callable[[ControlSession, Instant], Awaitable[None]]",
) -> None:
    """Read the control topic, then do `work`.

    Raises:
        Failure: the brokers do not do it.
    """
    from consumer.campaigns.session import with_control
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError
    from consumer.service.ports import NotTakenError, TopicGoneError
    from consumer.traffic.connection import connection_of, hush_client_library

    kafka = _kafka(config_file, bootstrap_servers)
    hush_client_library()
    try:
        asyncio.run(with_control(kafka, connection_of(kafka), work))
    except (KafkaRefusedError, KafkaUnreachableError, NotTakenError) as error:
        raise Failure(str(error)) from None
    except TopicGoneError as error:
        raise Failure(f"CAMPAIGN_KAFKA__CONTROL_TOPIC: {error}") from None

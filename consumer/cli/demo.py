"""`campaign-consumer demo`: everything on this machine, and a check that the totals agree."""

import asyncio

import click

from consumer.cli.main import FiniteRange

DEFAULT_EVENTS = 10_000
PUBLISHING_SECONDS = 8.0
"""How long publishing lasts where no rate is asked for: with Kafka's start and the last window well under 30 s."""
FASTEST_PER_SECOND = 10_000.0
PLAIN_COLUMNS = 100
"""The width where there is no terminal."""


@click.command()
@click.option(
    "--events",
    type=click.IntRange(min=1),
    metavar="N",
    default=DEFAULT_EVENTS,
    show_default=True,
    help="How many to publish.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same events.")
@click.option(
    "--rate",
    type=FiniteRange(min=0),
    metavar="N",
    help="Events a second; 0: as fast as it goes.  [default: all in 8 s]",
)
@click.option("--keep", is_flag=True, help="Leave everything running after the summary, until Ctrl-C.")
@click.option("--bootstrap-servers", metavar="HOST:PORT,...", help="Use a cluster of yours instead of an embedded one.")
def command(*, events: int, seed: int, rate: float | None, keep: bool, bootstrap_servers: str | None) -> None:
    """Run everything on this machine, then show what was sent and why.

    An embedded Apache Kafka, the sandbox platform, realistic events and the real service, each in a process of its
    own. The service's process ID is shown: kill it (kill -9 PID) while events go through, and it is started again.
    At the end the totals are checked: every record has one result, every accepted contact was texted, nobody was
    texted twice without a mark. The exit code is 0 only if they agree.

    On a cluster of yours topics with names of their own are made and deleted again; how to log in there is taken
    from the CAMPAIGN_KAFKA__* settings.
    """
    from rich.console import Console

    from consumer.cli.main import Failure, environment
    from consumer.demo.apache_kafka import KafkaStartError
    from consumer.demo.processes import ProcessError
    from consumer.demo.run import DemoOptions, run_demo
    from consumer.demo.surroundings import ClusterError
    from consumer.traffic.connection import BadBrokersError, hush_client_library, kafka_settings
    from consumer.traffic.publisher import PublishError

    try:
        cluster = (
            None
            if bootstrap_servers is None
            else kafka_settings(None, environment(), bootstrap_servers=bootstrap_servers)
        )
    except BadBrokersError as error:
        raise click.BadParameter(str(error), param_hint="--bootstrap-servers") from None
    pace = min(events / PUBLISHING_SECONDS, FASTEST_PER_SECOND) if rate is None else rate or None
    options = DemoOptions(events=events, seed=seed, per_second=pace, cluster=cluster, keep=keep)
    hush_client_library()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_COLUMNS
    try:
        account = asyncio.run(run_demo(options, console))
    except ProcessError as error:
        if error.tail:
            console.print(f"what it said last ({error.log}):", markup=False)
            console.print(error.tail, markup=False, soft_wrap=True)
        raise Failure(str(error)) from error
    except (KafkaStartError, ClusterError, PublishError) as error:
        raise Failure(str(error)) from error
    if not account.holds:
        raise click.exceptions.Exit(1)

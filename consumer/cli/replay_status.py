"""`campaign-consumer replay status`: what became of a resend so far. Reads events and results, changes nothing."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.main import Failure, config_option, environment
from consumer.cli.replay_run import read_plan

if TYPE_CHECKING:
    from rich.console import Group

    from config.settings import Kafka
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.replay.document import Plan
    from consumer.replay.status import ResendStanding

LOOK_SECONDS = 1.0
QUIET_SECONDS = 5.0
"""A run that still publishes does so at least every second or so: after so long without, all of it is there."""
RATE_SECONDS = 10.0

HELP = """Show what became of a resend: its records by campaign and status, how many are pending, and how fast it goes.

Name the PLAN that was run, or the resend's ID (replay-...). With the plan the events topics are read from where they
ended when it was made; with an ID alone, from their start.

Without --wait it looks once. With --wait it follows the resend until each of its records has an outcome; a plan of
which nothing is published yet is waited for.

\b
campaign-consumer replay status plan.json --wait
campaign-consumer replay status replay-9d1f5c0be2774801a6e4d2c90b8f3712 --json
"""


@click.command("status", help=HELP, short_help="Show what became of a resend, and wait for the rest.")
@config_option
@click.argument("subject", metavar="PLAN|RESEND_ID")
@click.option("--wait", "is_waiting", is_flag=True, help="Until each of its records has an outcome.")
@click.option("--json", "as_json", is_flag=True, help="For scripts, on stdout, in the end.")
def command(*, config_file: Path | None, subject: str, is_waiting: bool, as_json: bool) -> None:
    """Look, show, wait."""
    import orjson

    from consumer.traffic.connection import hush_client_library, settings_without_platform

    kafka = settings_without_platform(config_file, environment()).kafka
    hush_client_library()
    plan = None if subject.startswith("replay-") and not Path(subject).exists() else read_plan(Path(subject))
    resend_id = subject if plan is None else plan.resend_id
    standing = asyncio.run(_followed(kafka, plan, resend_id, _Screen(plan, as_json=as_json), is_waiting=is_waiting))
    if as_json:
        click.echo(orjson.dumps(standing.report()).decode())


@dataclass(slots=True)
class _Speed:
    """Outcomes a second, over the last few looks."""

    looks: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self, at: float, settled: int) -> float | None:
        """Take a look's number; return the rate, None where there was only one look."""
        self.looks.append((at, settled))
        while self.looks[-1][0] - self.looks[0][0] > RATE_SECONDS:
            self.looks.popleft()
        (first_at, first), (last_at, last) = self.looks[0], self.looks[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else None


class _Screen:
    """A table that is kept up to date on a terminal; elsewhere it is printed once, in the end."""

    def __init__(self, plan: "Plan | None", *, as_json: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=as_json)
        self._planned = None if plan is None else plan.counts.would_send
        self._is_silent = as_json and not console.is_terminal
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._speed = _Speed()
        self._shown: Group | None = None

    def start(self) -> None:
        """Take the terminal."""
        if self._live is not None:
            self._live.start()

    def show(self, standing: "ResendStanding", at: float) -> None:
        """Bring the table up to date."""
        from consumer.replay.status_table import shown

        per_second = self._speed.look(at, standing.records - standing.pending)
        self._shown = shown(standing, per_second, planned=self._planned)
        if self._live is not None:
            self._live.update(self._shown, refresh=True)

    def stop(self) -> None:
        """Leave the last table there."""
        if self._live is not None:
            self._live.stop()
        elif self._shown is not None and not self._is_silent:
            self._console.print(self._shown)


async def _followed(
    kafka: "Kafka", plan: "Plan | None", resend_id: str, screen: _Screen, *, is_waiting: bool
) -> "ResendStanding":
    from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError, reach
    from consumer.edge.kafka.reading.whole_logs import WholeLogs
    from consumer.service.ports import TopicGoneError
    from consumer.traffic.connection import connection_of

    connection = connection_of(kafka)
    logs = WholeLogs(connection, group=kafka.group_id, on_trouble=lambda why: click.echo(why, err=True))
    screen.start()
    try:
        await reach(connection)
        standing = await _standing(kafka, plan, resend_id, logs)
        await _look(standing, logs, plan, screen, is_waiting=is_waiting)
    except (KafkaRefusedError, KafkaUnreachableError, TopicGoneError) as error:
        raise Failure(str(error)) from None
    else:
        return standing
    finally:
        screen.stop()
        await logs.stop()


async def _standing(kafka: "Kafka", plan: "Plan | None", resend_id: str, logs: "WholeLogs") -> "ResendStanding":
    from consumer.replay.status import ResendStanding

    if plan is not None:
        here = await logs.cluster_id()
        if here != plan.cluster_id:
            raise Failure(f"the plan was made on the cluster {plan.cluster_id}, and this is {here}")
        ends = {(one.topic, number): end for one in plan.events for number, end in enumerate(one.ends)}
        starts = {(one.topic, one.partition): ends[one.topic, one.partition] for one in plan.records}
        results_starts = dict.fromkeys(range(await logs.partitions(plan.results.topic)), 0)
        results_starts |= dict(enumerate(plan.results.ends))  # the others came since
        return ResendStanding(
            resend_id=resend_id, results=plan.results.topic, starts=starts, results_starts=results_starts
        )
    starts = {}
    for topic in kafka.all_events_topics:
        for number in range(await logs.partitions(topic)):
            starts[topic, number], _ = await logs.bounds(topic, number)
    return ResendStanding(resend_id=resend_id, results=kafka.results_topic, starts=starts, results_starts={})


async def _look(
    standing: "ResendStanding", logs: "WholeLogs", plan: "Plan | None", screen: _Screen, *, is_waiting: bool
) -> None:
    loop = asyncio.get_running_loop()
    expected = None if plan is None else plan.counts.would_send
    records, quiet_since = -1, loop.time()
    while True:
        await standing.look(logs)
        if plan is None and not standing.records:
            topics = ", ".join(sorted({topic for topic, _ in standing.partitions}))
            raise Failure(
                f"no record of {standing.resend_id} stands in {topics}: name the plan, or another events topic"
            )
        screen.show(standing, loop.time())
        if standing.records != records:
            records, quiet_since = standing.records, loop.time()
        is_whole = records == expected or (records > 0 and loop.time() - quiet_since >= QUIET_SECONDS)
        if not is_waiting or (is_whole and not standing.pending):
            return
        await asyncio.sleep(LOOK_SECONDS)

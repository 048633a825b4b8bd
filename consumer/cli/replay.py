"""`campaign-consumer replay`: resending on purpose. Owns the group; each of its commands is a module of its own."""

import click

from consumer.cli.replay_plan import command as plan
from consumer.cli.replay_run import command as run
from consumer.cli.replay_status import command as status

HELP = """Send events again on purpose, and each of them once.

A plan says first what a resend would do, and changes nothing. Moving the consumer group back resends nothing: what the
journal knows is not sent again.

\b
campaign-consumer replay plan --from -2h --output plan.json
campaign-consumer replay run plan.json --rate 200
campaign-consumer replay status plan.json --wait
"""


@click.group(help=HELP, short_help="Plan a resend, run it, follow it.")
def command() -> None:
    """Find the command that was asked for."""


command.add_command(plan)
command.add_command(run)
command.add_command(status)

"""`campaign-consumer`: finds and invokes a command, and prints its failure in one line. Does no work itself.

A command is a module of this package with a `command`; only the one that is invoked is imported.
"""

import importlib
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from consumer import __version__

if TYPE_CHECKING:
    from config import ConfigurationError, Settings
    from config.proxy import Proxy

OK: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
"""Bad usage or bad configuration."""
INTERRUPTED: Final = 130

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("consumer.cli.run", "Run the service until SIGTERM or SIGINT, then drain and stop."),
    "demo": ("consumer.cli.demo", "Run Kafka, platform, events and service on this machine, and check the totals."),
    "check": ("consumer.cli.check", "Check the configuration; with --connect brokers, topics and platform, too."),
    "topics": ("consumer.cli.topics", "Create the topics that are missing, with the settings that they need."),
    "campaigns": ("consumer.cli.campaigns", "Hold, release, list and cancel campaigns: obeyed within 2 s."),
    "results": ("consumer.cli.results", "Find results by event, reference, campaign, outcome or time; follow them."),
    "top": ("consumer.cli.top", "Show how a service stands, live in a terminal: over its HTTP port."),
    "inspect": ("consumer.cli.inspect", "Show each partition's state, from Kafka alone; let a stopped one start."),
    "audit": ("consumer.cli.audit", "Prove the promises from events, journal and results; exit 1 names violations."),
    "replay": ("consumer.cli.replay", "Resend on purpose: plan it, run it, follow it."),
    "produce": ("consumer.cli.produce", "Publish contact events from JSON Lines, or made-up ones."),
    "sandbox": ("consumer.cli.sandbox", "Run a strict double of the SMS platform, with faults on demand."),
    "schema": ("consumer.cli.schema", "Print JSON Schema of events, results and dead letters."),
}
"""Each command's module and what it does, in the order of `--help`."""


class Failure(click.ClickException):
    """Ends a command with a message on stderr (one line, or one for each problem) and an exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click types it as the class's; it reads the instance's

    def show(self, file: Any = None) -> None:
        """Print the message as it is."""
        click.echo(self.message, file=file or sys.stderr)


class LazyGroup(click.Group):
    """A group that imports a command when it is invoked, so that `--help` and small commands answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is the library's
        """Return all commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command), cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command's name."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _tell_the_log(ctx, error)
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing anything, or an option of our own."""
        names = [CompletionItem(name, help=summary) for name, (_, summary) in COMMANDS.items()]
        return [
            *(one for one in names if one.value.startswith(incomplete)),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a mistake in the configuration ends it with one line for each, without a traceback."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:
            failure = Failure(str(error), MISUSED) if isinstance(error, _configuration_error()) else error
            _tell_the_log(ctx, failure)
            if failure is error:
                raise
            raise failure from None


def _tell_the_log(ctx: click.Context, error: Exception) -> None:
    """End a command whose standard error is a log with lines of that log; return where it is for people."""
    from consumer.cli.last_words import ends_in_log, tell_of

    if ends_in_log(error, ctx, environment()):
        ctx.exit(tell_of(error, ctx, environment()))


class FiniteRange(click.FloatRange):
    """A number within bounds. Neither `nan` nor `inf` is one: nothing compares with the former, nothing ends with the latter."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number


config_option = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings file (TOML). CAMPAIGN_CONFIG names one, too; environment and secrets win over it.",
)
"""The option of every command that reads the settings; its argument is `config_file: Path | None`."""


def environment() -> Mapping[str, str]:
    """Return the process's environment; only this function reads it."""
    return os.environ


def load_settings(config_file: Path | None) -> "Settings":
    """Return the settings of this process.

    Raises:
        Failure: they are wrong: one line for each mistake, exit code 2.
    """
    from config import load

    try:
        return load(config_file, environment())
    except _configuration_error() as error:
        raise Failure(str(error), MISUSED) from None


def platform_proxy(settings: "Settings") -> "Proxy | None":
    """Return the proxy on the way to the platform, None where there is none.

    Raises:
        Failure: the environment names one that cannot be used; exit code 2.
    """
    from config.proxy import proxy_of

    try:
        return proxy_of(settings, environment())
    except _configuration_error() as error:
        raise Failure(str(error), MISUSED) from None


def _configuration_error() -> "type[ConfigurationError]":
    """Return the class; it is imported only when something was raised, because the import loads all settings."""
    from config.mistakes import ConfigurationError

    return ConfigurationError


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="campaign-consumer", message="%(prog)s %(version)s")
def main() -> None:
    """Turn contact events from Apache Kafka into campaign sends: each once, in order, with a result for every record.

    Settings come from CAMPAIGN_... variables, a directory of secrets and a TOML file. Exit codes: 0 ok,
    1 failed, 2 bad usage or configuration, 130 interrupted.
    """

"""How a command ends whose standard error is a log: in JSON, whatever ends it is a line of that log. Decides nothing.

Its format is the one that the settings name. Where they cannot be read, it is `CAMPAIGN_LOG__FORMAT` of the environment, or
else what the default means: `console` on a terminal, `json` elsewhere.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Final, cast

import click
import structlog

from consumer.edge.telemetry import log

LOGGED: Final = frozenset({"run"})
"""Commands whose standard error is a log."""

FAILED: Final = 1
MISCONFIGURED: Final = 2
FORMAT_VARIABLE: Final = "CAMPAIGN_LOG__FORMAT"
CHOSEN: Final = "consumer.cli.last_words.chosen"
"""Where a command's context has the format that its settings name."""


def chosen(context: click.Context, format_: log.Format) -> None:
    """The settings are read: remember the format of this command's log."""
    context.meta[CHOSEN] = format_


def format_of(context: click.Context, environ: Mapping[str, str]) -> log.Format:
    """Return the format of a command's log, whether or not its settings could be read."""
    if CHOSEN in context.meta:
        return cast("log.Format", context.meta[CHOSEN])
    asked = environ.get(FORMAT_VARIABLE, "").strip().lower()
    if asked in ("console", "json"):
        return cast("log.Format", asked)
    return log.default_format(sys.stderr)


def ends_in_log(error: Exception, context: click.Context, environ: Mapping[str, str]) -> bool:
    """Whether an error has to be told in JSON.

    Without a command nobody knows whether there is a log: then the environment has to ask for JSON. What nobody expected
    goes to a command's log in any format, because a traceback quotes values.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return False
    if context.invoked_subcommand is None:
        return environ.get(FORMAT_VARIABLE, "").strip().lower() == "json"
    if context.invoked_subcommand not in LOGGED:
        return False
    return format_of(context, environ) == "json" or not isinstance(error, click.ClickException)


def tell_of(error: Exception, context: click.Context, environ: Mapping[str, str]) -> int:
    """Write what ends a command to its log; return the exit code."""
    if CHOSEN not in context.meta:
        log.configure(format_of(context, environ), "INFO")
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(log.OURS)
    match error:
        case click.UsageError():
            logger.critical("wrong usage", mistake=error.format_message(), exit_code=error.exit_code)
        case click.ClickException() if error.exit_code == MISCONFIGURED:
            for line in error.format_message().splitlines():
                logger.critical("wrong configuration", mistake=line, exit_code=error.exit_code)
        case click.ClickException():
            for line in error.format_message().splitlines():
                logger.critical("cannot go on", obstacle=line, exit_code=error.exit_code)
        case _:
            for leaf in _leaves(error):
                kinds, frames = log.origin_of(leaf)
                cure = "it is a mistake in this service: please report it with this line; nothing is lost by it"
                logger.critical("unexpected error, ending", error=kinds, at=frames, cure=cure, exit_code=FAILED)
    return error.exit_code if isinstance(error, click.ClickException) else FAILED


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
